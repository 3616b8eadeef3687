"""What is said of a failed peer and to whom: error lines with their context, the session's cookie on pages of our own, and
that a kept connection which had been closed costs a session nothing."""
import re

import pytest

from client import get
from daemon import Limpet
from origin import Origin, Reply
from ports import free_port

CONFIG = """
events { }
http {
    upstream app { server 127.0.0.1:{a} route=a max_fails=0; server 127.0.0.1:{b} route=b max_fails=0; sticky cookie srv; }
    upstream alone { server 127.0.0.1:{a}; }
    upstream pair { zone pair 64k; server 127.0.0.1:{a} route=a; server 127.0.0.1:{b} route=b; sticky cookie srv; }
    upstream dead { server 127.0.0.1:{dead}; server 127.0.0.1:{gone}; }
    server {
        listen {port};
        server_name test;
        proxy_read_timeout 300ms;
        error_page 404 /page;
        add_header X-Tried $upstream_addr always;
        location / { proxy_pass http://app; }
        location /own { proxy_pass http://app; proxy_intercept_errors on; }
        location /page { return 200 "a page"; }
        location /alone { proxy_pass http://alone; }
        location /pair { proxy_pass http://pair; }
        location /pair/unbound { proxy_pass http://pair; proxy_bind 203.0.113.1; }
        location /dead/ { proxy_pass http://dead/x/; }
        location /named { proxy_pass http://$arg_to; }
    }
}
"""
CLOSED = Reply(raw=b"", close=True)


@pytest.fixture(scope="module")
def limpet():
    with Origin("a") as a, Origin("b") as b:
        with Limpet(CONFIG, workers=1, a=a.port, b=b.port, dead=free_port(), gone=free_port()) as running:
            running.a, running.b = a, b
            yield running


def context(limpet, request, upstream):
    return re.escape(f', client: 127.0.0.1, server: test, request: "{request}", upstream: "{upstream}", host: "test"')


def test_lines_name_the_peer_and_the_uri_it_is_asked_for(limpet):
    request, dead = "GET /dead/y?z HTTP/1.1", limpet.values["dead"]
    assert get(limpet.port, "/dead/y?z", host="test").status == 502
    tail = context(limpet, request, f"http://127.0.0.1:{dead}/x/y?z")
    limpet.wait_log(r"\[error\] .*connect\(\) failed \(111: Connection refused\) while connecting to upstream" + tail)
    limpet.wait_log(r"\[warn\] .*upstream server temporarily disabled while connecting to upstream" + tail)


def test_without_a_peer_they_name_the_group(limpet):
    get(limpet.port, "/dead/y", host="test")
    assert get(limpet.port, "/dead/z", host="test").status == 502
    limpet.wait_log(r"\[error\] .*no live upstreams while connecting to upstream" +
                    context(limpet, "GET /dead/z HTTP/1.1", "http://dead/x/z"))


@pytest.mark.parametrize("host", ["127.0.0.1:99999", "name:0", "name:x"])
def test_a_port_that_is_none_is_an_error_of_ours(limpet, host):
    assert get(limpet.port, f"/named?to={host}", host="test").status == 500
    limpet.wait_log(rf'invalid port in upstream "{host}", client')


def test_a_timeout_says_its_error_before_what_was_being_done(limpet):
    limpet.a.respond = lambda request: Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart")
    with pytest.raises(ConnectionResetError):
        get(limpet.port, "/alone/x", host="test")
    limpet.wait_log(r"\[error\] .*upstream timed out \(110: Connection timed out\) while reading upstream" +
                    context(limpet, "GET /alone/x HTTP/1.1", f"http://127.0.0.1:{limpet.a.port}/alone/x"))


@pytest.mark.parametrize("reply, status", [(CLOSED, 502), (Reply(status="404 No"), 404)])
def test_a_page_in_place_of_the_answer_has_the_cookie(limpet, reply, status):
    limpet.a.respond = limpet.b.respond = lambda request: reply
    response = get(limpet.port, "/own", host="test")
    assert response.status == status
    assert response.cookie("srv") in ("a", "b")


def test_a_session_stays_where_a_kept_connection_had_been_closed(limpet):
    """The peer closes in the very moment that the request comes: as if the two had crossed."""
    answers = []

    def respond(request):
        answers.append(request)
        return CLOSED if len(answers) == 2 else Reply(b"a")

    for path in ("/", "/alone"):
        with Origin("fresh", respond=respond) as fresh, Origin("other") as other:
            answers.clear()
            with Limpet(CONFIG, workers=1, a=fresh.port, b=other.port, dead=free_port(), gone=free_port()) as limpet:
                session = {"srv": "a"}
                assert get(limpet.port, path, cookies=session).status == 200  # leaves a connection
                response = get(limpet.port, path, cookies=session)
                assert (response.status, response.body) == (200, b"a")
                assert response.header("x-tried") == f"127.0.0.1:{fresh.port}, 127.0.0.1:{fresh.port}"
                assert other.hits == 0
                assert not limpet.log_lines("temporarily disabled")


@pytest.mark.parametrize("session", ["a", "b"])
def test_what_fails_at_home_is_no_fault_of_a_peers(limpet, session):
    """A socket that cannot be had or bound: 500 as in nginx, no peer is taken for failed, no session moves."""
    for origin in (limpet.a, limpet.b):
        origin.respond = lambda request, name=origin.name: Reply(name.encode())
    for _ in range(3):
        assert get(limpet.port, "/pair/unbound", cookies={"srv": session}).status == 500
        answer = get(limpet.port, "/pair", cookies={"srv": session})
        assert (answer.status, answer.text, answer.cookie("srv")) == (200, session, session)
    limpet.wait_log(r"\[crit\] .*bind\(203\.0\.113\.1\) failed \(99: .*\) while connecting to upstream")
    assert not limpet.log_lines("temporarily disabled.*/pair")
