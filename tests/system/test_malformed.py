"""What is wrong with requests, and with upstreams: bytes sent, status that comes back."""
import pytest

from client import Connection, get
from daemon import Limpet
from origin import Reply
from ports import free_port

CONFIG = """
events { }
http {
    server {
        listen {port};
        location / { proxy_pass http://127.0.0.1:{origin}; proxy_read_timeout 300ms; }
        location /refused { proxy_pass http://127.0.0.1:{nobody}; }
        location /local { return 200 ok; }
    }
}
"""
HOST = b"Host: x\r\n"

REQUESTS = {
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "no target": (b"GET HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "no target in HTTP/1.0": (b"GET HTTP/1.0\r\n\r\n", 400),
    "no target and no version": (b"GET foo\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\n" + HOST + b"Host: y\r\n\r\n", 400),
    "a host with a space": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "a host with a slash": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "no known protocol": (b"GET / FTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a version of the future": (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505),
    "a method in lower case": (b"get / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "no method": (b" / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "TLS on a plain port": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "a path above the root": (b"GET /../etc HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a bad percent sign": (b"GET /%zz HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "an encoded NUL": (b"GET /%00 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a control character in the target": (b"GET /a\x01b HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a NUL in a header": (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n", 400),
    "TRACE": (b"TRACE / HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    "CONNECT": (b"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n", 405),
    "both lengths": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "two lengths": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    "a length that is no number": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3x\r\n\r\nabc", 400),
    "a negative length": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400),
    "a length beyond all numbers": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n", 400),
    "an unknown coding": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n", 501),
    "chunked in HTTP/1.0": (b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "a chunk size that is no number": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
    "a chunk that is announced too large": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n100001\r\n", 413),
    "a chunk longer than it says": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
                                    400),
    "a chunk size beyond all numbers": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 20
                                        + b"\r\n", 400),
    "a request line that is too long": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    "a header that is too long": (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 9000 + b"\r\n\r\n", 400),
    "headers that are too many": (b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"X%d: %s\r\n" % (i, b"a" * 4000)
                                                                         for i in range(12)) + b"\r\n", 400),
    "a body that is too large": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 2000000\r\n\r\n", 413),
}

HEAD = b"HTTP/1.1 200 OK\r\n"
RESPONSES = {
    "nothing, then the end": (Reply(raw=b"", close=True), 502),
    "half a status line": (Reply(raw=b"HTTP/1.1 2", close=True), 502),
    "half a head": (Reply(raw=HEAD + b"X: 1\r\n", close=True), 502),
    "nonsense": (Reply(raw=b"\x00\x01nonsense\r\n\r\n", close=True), 502),
    "a status that is no number": (Reply(raw=b"HTTP/1.1 abc OK\r\n\r\n", close=True), 502),
    "two lengths": (Reply(raw=HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\na", close=True), 502),
    "both lengths": (Reply(raw=HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", close=True), 502),
    "a length that is no number": (Reply(raw=HEAD + b"Content-Length: x\r\n\r\n", close=True), 502),
    "a NUL in a header": (Reply(raw=HEAD + b"X: a\0b\r\nContent-Length: 0\r\n\r\n", close=True), 502),
    "a head that is too large": (Reply(headers=[("X", "a" * 200000)], close=True), 502),
    "silence": (Reply(raw=b""), 504),
    "half a head, then silence": (Reply(raw=HEAD + b"X: 1\r\n"), 504),
}


@pytest.fixture(scope="module")
def limpet():
    from origin import Origin
    with Origin("origin") as origin, Limpet(CONFIG, workers=1, origin=origin.port, nobody=free_port()) as running:
        running.origin = origin
        yield running


@pytest.fixture(autouse=True)
def still_serves(limpet):
    yield
    limpet.origin.respond = lambda request: Reply(b"fine")
    assert get(limpet.port).text == "fine"


@pytest.mark.parametrize("name", REQUESTS)
def test_malformed_requests(limpet, name):
    data, status = REQUESTS[name]
    limpet.origin.requests.clear()
    with Connection(limpet.port) as connection:
        connection.send(data)
        assert connection.response().status == status
        assert connection.stream.read() == b""  # where the next request would begin is not known: it closes
    assert not limpet.origin.requests


@pytest.mark.parametrize("name", RESPONSES)
def test_malformed_responses(limpet, name):
    reply, status = RESPONSES[name]
    limpet.origin.respond = lambda request: reply
    assert get(limpet.port).status == status


def test_nobody_listens(limpet):
    assert get(limpet.port, "/refused").status == 502


@pytest.mark.parametrize("raw", [HEAD + b"Content-Length: 10\r\n\r\nabc",
                                 HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
                                 HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n"])
def test_a_body_that_breaks_off_does_not_look_complete(limpet, raw):
    limpet.origin.respond = lambda request: Reply(raw=raw, close=True)
    with Connection(limpet.port) as connection:
        with pytest.raises((ConnectionResetError, ValueError)):
            connection.request("/")


def test_bytes_behind_a_response_are_not_taken_for_the_next(limpet):
    raw = HEAD + b"Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsplit"
    limpet.origin.respond = lambda request: Reply(raw=raw)
    with Connection(limpet.port) as connection:
        assert [connection.request("/").text for _ in range(3)] == ["ok"] * 3
