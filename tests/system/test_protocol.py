"""HTTP/1 between a client and an upstream: bodies both ways, upgrades, pipelining, old clients."""
import socket

import pytest

import websocket
from client import Connection, get
from daemon import Limpet
from origin import Reply
from waiting import wait_until

CONFIG = """
events { }
http {
    log_format tunnel "$request_length $request_body $upstream_response_length";
    upstream app { server 127.0.0.1:{origin}; keepalive 4; }
    server {
        listen {port};
        location / { proxy_pass http://app; }
        location /streamed { proxy_pass http://app; proxy_request_buffering off; proxy_buffering off; }
        location /socket {
            proxy_pass http://app;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection Upgrade;
            access_log {dir}/tunnel.log tunnel;
        }
        location /local { return 200 $request_uri; }
    }
}
"""


def mirror(request):
    """Sends the request's body back, in chunks if the target asks for it."""
    body = request.body or request.target.encode()
    if "chunks" in request.target:
        return Reply(chunks=[body[i:i + 1000] for i in range(0, len(body), 1000)])
    return Reply(body)


@pytest.fixture
def limpet(origins):
    (origin,) = origins("origin", respond=mirror)
    with Limpet(CONFIG, workers=1, origin=origin.port) as running:
        running.origin = origin
        yield running


def chunked(body, size):
    pieces = [body[i:i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x;ext=1\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nX-Trailer: 1\r\n\r\n"


@pytest.mark.parametrize("path", ["/chunks", "/streamed/chunks", "/whole", "/streamed/whole"])
def test_chunked_requests_and_responses(limpet, path):
    body = bytes(range(256)) * 300
    with Connection(limpet.port) as connection:
        for size in (7, 4096, 70000):
            connection.send(f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            connection.send(chunked(body, size))
            response = connection.response()
            assert (response.status, response.body == body) == (200, True)
            assert (response.header("transfer-encoding") == "chunked") == path.endswith("chunks")
            assert limpet.origin.requests[-1].body == body


def test_a_streamed_request_reaches_the_upstream_as_chunks(limpet):
    with Connection(limpet.port) as connection:
        for path, coding, length in (("/streamed", "chunked", None), ("/", None, "3")):
            connection.send(f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
            assert connection.response().text == "abc"
            seen = limpet.origin.requests[-1]
            assert (seen.header("transfer-encoding"), seen.header("content-length")) == (coding, length)


@pytest.mark.parametrize("path", ["/", "/streamed"])
def test_a_client_that_expects_100_is_told_to_continue(limpet, path):
    with Connection(limpet.port) as connection:
        connection.send(f"PUT {path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert connection.response().status == 100
        connection.send("hello")
        response = connection.response()
        assert (response.status, response.text) == (200, "hello")


def test_a_websocket_carries_frames_both_ways(limpet):
    with Connection(limpet.port) as connection:
        response = websocket.upgrade(connection, "/socket")
        assert (response.status, response.header("upgrade")) == (101, "websocket")
        for opcode, payload in ((websocket.TEXT, b"hello"), (websocket.PING, b""), (websocket.BINARY, b"\0\xff" * 500),
                                (websocket.BINARY, bytes(range(256)) * 4000)):
            connection.send(websocket.frame(opcode, payload))
            assert websocket.read_frame(connection.stream) == (opcode, payload)
        connection.socket.shutdown(socket.SHUT_WR)
        assert websocket.read_frame(connection.stream) is None


def test_what_flows_in_a_tunnel_is_no_body(limpet):
    for payload in (b"", b"hello" * 20):
        with Connection(limpet.port) as connection:
            websocket.upgrade(connection, "/socket")
            connection.send(websocket.frame(websocket.TEXT, payload))
            assert websocket.read_frame(connection.stream) == (websocket.TEXT, payload)

    def lines():
        with open(limpet.path("tunnel.log")) as log:
            return log.read().splitlines()

    wait_until(lambda: len(lines()) == 2, "a line for each tunnel")
    first, second = lines()
    assert first == second and first.endswith(" - 0")


def test_a_websocket_ends_when_the_upstream_ends_it(limpet):
    with Connection(limpet.port) as connection:
        assert websocket.upgrade(connection, "/socket").status == 101
        limpet.origin.stop()
        assert websocket.read_frame(connection.stream) is None


@pytest.mark.parametrize("path, upgrade", [("/socket", ""), ("/", "Upgrade: x\r\n")], ids=["client", "configuration"])
def test_a_switch_that_nobody_has_asked_for_is_a_head_and_the_end(limpet, path, upgrade):
    limpet.origin.respond = lambda request: Reply(raw=b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\nsecret")
    with Connection(limpet.port) as connection:
        connection.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n{upgrade}\r\nGET /local HTTP/1.1\r\nHost: x\r\n\r\n")
        head, _, rest = connection.stream.read().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ") and b"Connection: close" in head and rest == b""
    limpet.wait_log("switched protocols without being asked")


def test_no_upgrade_without_its_configuration(limpet):
    with Connection(limpet.port) as connection:
        assert websocket.upgrade(connection, "/").status == 200
        assert limpet.origin.requests[-1].header("upgrade") is None


@pytest.mark.parametrize("prefix", ["/local", "/p"])
def test_pipelined_requests_are_answered_in_order(limpet, prefix):
    targets = [f"{prefix}/{i}" for i in range(20)]
    with Connection(limpet.port) as connection:
        connection.send("".join(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n" for target in targets))
        assert [connection.response().text for _ in targets] == targets


def test_a_pipelined_request_behind_a_body(limpet):
    with Connection(limpet.port) as connection:
        connection.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /local HTTP/1.1\r\nHost: x\r\n\r\n")
        assert [connection.response().text for _ in range(2)] == ["abc", "/local"]


@pytest.mark.parametrize("path", ["/local", "/chunks", "/whole"])
def test_an_old_client_gets_a_body_that_ends_with_the_connection(limpet, path):
    with Connection(limpet.port) as connection:
        connection.send(f"GET {path} HTTP/1.0\r\n\r\n")
        response = connection.response()
        assert (response.status, response.text) == (200, path)
        assert response.header("transfer-encoding") is None
        assert response.header("connection") == "close"
        assert connection.stream.read() == b""


def test_an_old_client_may_keep_its_connection(limpet):
    with Connection(limpet.port) as connection:
        for _ in range(2):
            connection.send("GET /local HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            response = connection.response()
            assert (response.text, response.header("connection")) == ("/local", "keep-alive")


def test_head_has_no_body(limpet):
    with Connection(limpet.port) as connection:
        for path in ("/local", "/whole", "/chunks"):
            assert connection.request(path, method="HEAD").status == 200
        assert connection.request("/local").text == "/local"


def test_upstream_connections_are_kept(limpet):
    for _ in range(5):
        assert get(limpet.port, "/whole").status == 200
    assert limpet.origin.connections == 1
