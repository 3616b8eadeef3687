"""What a client gets of an upstream's answer: a part, none, or all of it at a rate."""
import pytest

from client import Connection, get
from daemon import Limpet
from http2 import Http2
from origin import Reply
from waiting import wait_until

CONFIG = """
events { }
http {
    log_format complete '$status $request_completion';
    upstream app { server 127.0.0.1:{origin}; keepalive 4; }
    server {
        listen {port};
        http2 on;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_force_ranges on;
        access_log {dir}/complete.log complete;
        location / { proxy_pass http://app; }
        location /straight/ { proxy_buffering off; proxy_pass http://app; }
        location /slow/ { proxy_limit_rate 1k; proxy_pass http://app; }
    }
}
"""


@pytest.fixture
def limpet(origins, gate):
    went_on = []

    def respond(request):
        if request.target.endswith("/empty"):
            return Reply()
        if request.target.endswith("/long"):
            return Reply(b"x" * 100_000)

        def pieces():
            yield b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n0123456789"
            gate(request)
            went_on.append(request)
            yield b"0123456789"
        return Reply(raw=pieces())

    (origin,) = origins("origin", respond=respond)
    with Limpet(CONFIG, workers=1, origin=origin.port) as made:
        made.origin, made.went_on = origin, went_on
        made.accesses = lambda: open(made.path("complete.log")).read()
        yield made


@pytest.mark.parametrize("path", ["/", "/straight/"])
def test_a_part_ends_with_its_last_byte(limpet, path):
    with Http2(limpet.port) as client:
        part = client.get(path, headers=[("range", "bytes=2-5")])
        assert (part.status, part.text, part.header("content-range")) == (206, "2345", "bytes 2-5/20")
    wait_until(lambda: "206 OK\n" in limpet.accesses(), "the end")
    assert not limpet.went_on and not limpet.log_lines("prematurely")


def test_a_client_that_leaves_with_its_part_has_had_all(limpet):
    with Connection(limpet.port) as client:
        client.send("GET /straight/ HTTP/1.1\r\nHost: x\r\nRange: bytes=2-5\r\n\r\n")
        assert client.response().text == "2345"
    wait_until(lambda: "206 OK\n" in limpet.accesses(), "the end")
    assert not limpet.went_on and not limpet.log_lines("prematurely")


@pytest.mark.parametrize("method, path", [("GET", "/empty"), ("HEAD", "/long")])
def test_a_range_that_is_none_of_an_answer_without_a_body_costs_no_connection(limpet, method, path):
    for _ in range(3):
        assert get(limpet.port, path, method=method, headers=[("Range", "bytes=200000-")]).status == 416
    assert limpet.origin.connections == 1


def test_the_rate_holds_for_what_comes_with_the_head(limpet):
    with Connection(limpet.port) as client:
        client.send("GET /slow/long HTTP/1.1\r\nHost: x\r\n\r\n")
        head, _, body = client.socket.recv(1 << 20).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200") and len(body) <= 4096
