"""What a request that fails costs: how often it is sent, for how long it is tried, what the log says of a head that is
refused. And that no rate holds an answer back that is passed on unbuffered."""
import concurrent.futures
import re
import threading
import time

import pytest

from client import Connection, get
from daemon import Limpet
from origin import Origin, Reply
from waiting import PATIENCE

CONFIG = """
events { }
http {
    upstream pair { server 127.0.0.1:{a} max_fails=0; server 127.0.0.1:{b} max_fails=0; }
    upstream alone { server 127.0.0.1:{a} max_fails=0; }
    upstream next { server 127.0.0.1:{a} max_fails=0; server 127.0.0.1:{b} backup; }
    server {
        listen {port};
        add_header X-Tried $upstream_status always;
        location / { proxy_pass http://pair; }
        location /alone { proxy_pass http://alone; }
        location /timed { proxy_pass http://next; proxy_next_upstream_timeout 2s; }
        location /unbuffered { proxy_pass http://alone; proxy_buffering off; limit_rate 10; }
    }
}
"""
CLOSED = Reply(raw=b"", close=True)


@pytest.fixture(scope="module")
def limpet():
    with Origin("a") as a, Origin("b") as b:
        with Limpet(CONFIG, workers=1, a=a.port, b=b.port) as running:
            running.a, running.b = a, b
            yield running


def keep_connections(limpet, path, count):
    """So many at once that there are as many connections to the servers, which are kept then."""
    all_there = threading.Barrier(count)

    def respond(_):
        all_there.wait(PATIENCE)
        return Reply(b"ok")

    limpet.a.respond = limpet.b.respond = respond
    with concurrent.futures.ThreadPoolExecutor(count) as clients:
        for response in clients.map(lambda _: get(limpet.port, path), range(count)):
            assert response.status == 200


@pytest.mark.parametrize("path, most", [("/alone", 2), ("/", 3)])
def test_a_request_that_ends_connections_does_not_end_all_that_are_kept(limpet, path, most):
    """Each may be another process of the application, and its request what that process dies of."""
    keep_connections(limpet, path, 8)
    limpet.a.respond = limpet.b.respond = lambda request: CLOSED
    before = limpet.a.hits + limpet.b.hits
    response = get(limpet.port, path)
    assert response.status == 502
    assert 2 <= limpet.a.hits + limpet.b.hits - before <= most, response.header("x-tried")


def test_a_body_that_is_slow_to_come_takes_no_time_from_the_next_upstream(limpet):
    limpet.a.respond, limpet.b.respond = lambda request: CLOSED, lambda request: Reply(request.body)
    with Connection(limpet.port) as connection:
        connection.send("PUT /timed HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na")
        time.sleep(2.2)  # longer than the next one may be tried
        connection.send("b")
        response = connection.response()
    assert (response.status, response.text) == (200, "ab"), response.header("x-tried")


def test_no_rate_holds_back_what_is_passed_on_unbuffered(limpet):
    limpet.a.respond = lambda request: Reply(b"x" * 50, headers=[("X-Accel-Limit-Rate", "10")])
    started = time.monotonic()
    assert get(limpet.port, "/unbuffered").body == b"x" * 50
    assert time.monotonic() - started < 5  # and not the 15 s that the rate would take


LINES = [
    (["Content-Length: 1", "content-length: 2"], 'duplicate header line: "content-length: 2", previous value: "Content-Length: 1"'),
    (["Transfer-Encoding: chunked"] * 2,
     'duplicate header line: "Transfer-Encoding: chunked", previous value: "Transfer-Encoding: chunked"'),
    (["Transfer-Encoding: identity"], 'unknown "Transfer-Encoding": "identity"'),
    (["Content-Length: -1"], 'invalid "Content-Length" header: "Content-Length: -1"'),
    (["Content-Length: 1", "Transfer-Encoding: chunked"], '"Content-Length" and "Transfer-Encoding" headers at the same time'),
]


@pytest.mark.parametrize("lines, words", LINES)
def test_the_log_has_the_lines_that_a_head_is_refused_for(limpet, lines, words):
    head = "\r\n".join(["HTTP/1.1 200 OK", *lines, "", "b"])
    limpet.a.respond = lambda request: Reply(raw=head.encode(), close=True)
    assert get(limpet.port, "/alone").status == 502
    limpet.wait_log(r"\[error\] .*upstream sent " + re.escape(words) + " while reading response header from upstream, ")
