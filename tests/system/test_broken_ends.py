"""What the logs say of a side that goes before all has been sent, and of bytes that are too many."""
import socket
import struct

import pytest

from client import Connection, get
from daemon import Limpet
from http2 import Http2
from listener import Listener
from origin import Reply
from waiting import wait_until

CONFIG = """
events { }
http {
    log_format framing '$server_protocol "$sent_http_transfer_encoding"';
    server {
        listen {port};
        http2 on;
        access_log {dir}/framing.log framing;
        location / {
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_pass http://127.0.0.1:{origin};
        }
        location = /big { root {dir}; }
    }
}
"""
BIG = 20_000_000
GONE = r'\[info\] .*client prematurely closed connection, client: 127.0.0.1, .*request: "GET /big HTTP/{}"'


def reset(connected):
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connected.close()


class Switching(Listener):
    """Switches protocols, and resets the connection at the first word."""

    def _serve(self, connection):
        while b"\r\n\r\n" not in connection.recv(4096):
            pass
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n")
        connection.recv(100)
        reset(connection)


@pytest.fixture
def limpet(origins):
    """With an origin that says what it is asked for by path."""
    replies = {"/chunks": Reply(chunks=[b"a", b"b"]), "/excess": Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nmore")}
    (origin,) = origins("origin", respond=lambda request: replies[request.target])
    daemon = Limpet(CONFIG, workers=1, start=False, origin=origin.port)
    with open(daemon.path("big"), "wb") as out:
        out.truncate(BIG)
    with daemon:
        daemon.start()
        yield daemon


@pytest.mark.parametrize("leave", [socket.socket.close, reset])
def test_a_client_that_goes_while_its_answer_is_sent(limpet, leave):
    with Connection(limpet.port) as client:
        client.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.socket.recv(100)
        client.stream.close()
        leave(client.socket)
        limpet.wait_log(GONE.format("1.1"))


@pytest.mark.parametrize("leave", [socket.socket.close, reset])
def test_a_client_of_http2_that_goes_while_its_answer_is_sent(limpet, leave):
    with Http2(limpet.port, reads=False) as client:
        stream = client.ask("/big")
        client.until(lambda: client.streams[stream].body)
        leave(client.socket)
        limpet.wait_log(GONE.format("2.0"))


def test_a_client_that_cancels_its_stream_has_one_line(limpet):
    with Http2(limpet.port, reads=False) as client:
        stream = client.ask("/big")
        client.until(lambda: client.streams[stream].body)
        client.reset(stream)
        limpet.wait_log(f"client canceled stream {stream}")
    limpet.end()
    assert not limpet.log_lines("prematurely closed")


def test_a_client_of_http2_whose_connection_we_end_has_not_left(limpet):
    with Http2(limpet.port, reads=False) as client:
        stream = client.ask("/big")
        client.until(lambda: client.streams[stream].body)
        client.raw(kind=0x6, payload=b"short")  # a PING of five bytes
        client.until(lambda: client.goaway)
        client.until(lambda: client.closed)
    limpet.end()
    assert not limpet.log_lines("prematurely closed")


def test_an_upstream_that_resets_a_tunnel():
    switching = Switching()
    with Limpet(CONFIG, workers=1, origin=switching.port) as limpet, Connection(limpet.port) as client:
        client.send("GET /tunnel HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n")
        assert client.response().status == 101
        client.send("word")
        assert client.stream.read() == b""
        limpet.wait_log(r"recv\(\) failed \(104: Connection reset by peer\) while proxying upgraded connection, client")
    switching.stop()


def test_more_than_a_length_of_nothing(limpet):
    assert get(limpet.port, "/excess").body == b""
    limpet.wait_log(r'\[warn\] .*upstream sent more data than specified in "Content-Length" header while reading upstream')


def test_a_response_over_http2_has_no_transfer_encoding(limpet):
    assert get(limpet.port, "/chunks").body == b"ab"
    with Http2(limpet.port) as client:
        assert client.get("/chunks").body == b"ab"

    def written():
        with open(limpet.path("framing.log")) as text:
            found = text.read().splitlines()
        return len(found) == 2 and found
    assert wait_until(written, "two lines") == ['HTTP/1.1 "chunked"', 'HTTP/2.0 "-"']
