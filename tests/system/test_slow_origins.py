"""Origins that take their time: what a client sends reaches them to its last byte, and no client waits for nothing."""
import hashlib
import socket
import struct
import threading
import time

import pytest

from certificates import Authority
from client import get
from daemon import Limpet
from http2 import Http2, client_context
from origin import Origin
from ports import free_port
from waiting import PATIENCE, wait_until

MIB = 1 << 20
PIECE = 16384
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: %s\r\nConnection: upgrade\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n"
CONFIG = """
events { }
http {
    limit_req_zone $binary_remote_addr zone=one:1m rate=2r/s;
    server {
        listen {port} sndbuf=16k;
        listen {tls} ssl;
        ssl_certificate {certs}/on.test.crt;
        ssl_certificate_key {certs}/on.test.key;
        http2 on;
        http2_websocket on;
        client_max_body_size 0;
        proxy_request_buffering off;
        proxy_http_version 1.1;
        location / {
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_pass http://127.0.0.1:{origin};
        }
        location /upload { proxy_pass http://127.0.0.1:{origin}; }
        location /delayed { limit_req zone=one burst=1; proxy_pass http://127.0.0.1:{origin}; }
        location /status { stub_status; }
    }
}
"""


class SlowOrigin(Origin):
    """Reads nothing behind a head before `go`; `last_words` are sent before that. `seen` is all that came then.

    `word` is what it says to each piece that it reads.
    """

    def __init__(self):
        self.go, self.over = threading.Event(), threading.Event()
        self.size, self.seen, self.last_words, self.word = 0, hashlib.sha256(), None, b""
        super().__init__("slow")

    def start(self):
        super().start()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)

    def _exchange(self, connection, stream):
        head = [line.rstrip(b"\r\n").lower() for line in iter(stream.readline, b"\r\n")]
        if not head or not head[0]:
            return False
        fields = dict(line.split(b": ", 1) for line in head[1:])
        protocol = fields.get(b"upgrade")
        if protocol:
            connection.sendall(SWITCH % protocol)
        if self.last_words is not None:
            connection.sendall(self.last_words)
            connection.shutdown(socket.SHUT_WR)
        assert self.go.wait(PATIENCE)
        self._take(connection, stream, int(fields.get(b"content-length", 1 << 40)))
        if not protocol:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        self.over.set()
        return not protocol

    def _take(self, connection, stream, most):
        while self.size < most and (data := stream.read1(min(PIECE, most - self.size))):
            self.size += len(data)
            self.seen.update(data)
            connection.sendall(self.word)

    def got(self, sent):
        """Waits for the end of what it is sent; whether that is `sent`."""
        assert self.over.wait(PATIENCE)
        return (self.size, self.seen.digest()) == (len(sent), hashlib.sha256(sent).digest())


@pytest.fixture
def origin():
    with SlowOrigin() as made:
        yield made
        made.go.set()


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("certs"))
    authority.issue("on.test")
    return authority.folder


@pytest.fixture
def tls_port():
    return free_port()


@pytest.fixture
def limpet(origin, certs, tls_port):
    with Limpet(CONFIG, workers=1, origin=origin.port, certs=certs, tls=tls_port) as limpet:
        yield limpet


def bytes_of(size):
    return b"".join(b"%07d\n" % i for i in range(size // 8))


# HTTP/2: a client goes on when it is given more window, and hears of that without asking

def fill(client, stream, data):
    """Sends until the window stays closed; what has not been sent."""
    while data:
        size = min(PIECE, client.windows[stream], len(data))
        if size == 0:
            pongs = len(client.pongs)
            client.ping()
            client.until(lambda: len(client.pongs) > pongs)
            if client.windows[stream] == 0:
                return data
            continue
        client.data(stream, data[:size], end=False)
        data = data[size:]
    return data


def open_tunnel(client):
    stream = client.head([(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/chat"),
                          (":authority", "localhost"), ("sec-websocket-version", "13")], end=False)
    client.until(lambda: client.streams[stream].headers is not None or client.streams[stream].over)
    assert client.streams[stream].status == 200
    return stream


def test_a_long_upload_over_http2_waits_for_its_origin_and_goes_on(limpet, origin):
    sent = bytes_of(20 * MIB)
    with Http2(limpet.port) as client:
        stream = client.ask("/upload", method="POST", headers=[("content-length", str(len(sent)))], end=False)
        rest = fill(client, stream, sent)
        assert rest, "the origin reads nothing"
        origin.go.set()
        client.data(stream, rest)
        assert client.response(stream).text == "ok"
    assert origin.got(sent)


def test_a_body_over_http2_that_comes_before_it_is_wanted_goes_on(limpet, origin):
    origin.go.set()
    sent = bytes_of(200_000)
    with Http2(limpet.port) as client:
        assert client.post("/delayed", sent).status == 200
        assert origin.got(sent)
        origin.size = 0
        assert client.post("/delayed", sent).status == 200  # waits half a second for its turn
        assert origin.size == len(sent)


def test_a_websocket_over_http2_waits_for_its_origin_and_goes_on(limpet, origin):
    sent = bytes_of(20 * MIB)
    with Http2(limpet.port) as client:
        stream = open_tunnel(client)
        rest = fill(client, stream, sent)
        assert rest
        origin.go.set()
        client.data(stream, rest)
        assert origin.got(sent)


# Tunnels: what the client sends last

@pytest.mark.parametrize("end", ["in the same frame", "behind it"])
def test_an_origin_gets_what_comes_with_the_end_of_a_websocket_over_http2(limpet, origin, end):
    origin.go.set()
    with Http2(limpet.port) as client:
        stream = open_tunnel(client)
        client.data(stream, b"first ", end=False)
        client.data(stream, b"last", end=end == "in the same frame")
        if end == "behind it":
            client.data(stream, b"")
        assert origin.got(b"first last")
        client.until(lambda: client.streams[stream].over)


def test_an_origin_gets_the_rest_also_when_the_connection_over_http2_ends(limpet, origin):
    with Http2(limpet.port) as client:
        stream = open_tunnel(client)
        sent = bytes_of(20 * MIB)
        sent = sent[:len(sent) - len(fill(client, stream, sent))]
        client.data(stream, b"")
        client.pongs.clear()
        client.ping()
        client.until(lambda: client.pongs)  # nothing is unread then, which would reset the connection
    origin.go.set()
    assert origin.got(sent)


def start_tunnel(client):
    client.settimeout(PATIENCE)
    client.sendall(UPGRADE)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.recv(1)
    assert head.startswith(b"HTTP/1.1 101")


def send_until_blocked(client):
    """What was sent before nobody took any more."""
    data, sent = bytes_of(64 * MIB), 0
    client.settimeout(0.3)
    try:
        while True:
            sent += client.send(data[sent:sent + 65536])
    except TimeoutError:
        return data[:sent]


def test_an_origin_gets_all_that_a_client_sends_before_it_ends(limpet, origin):
    with socket.create_connection(("127.0.0.1", limpet.port)) as client:
        start_tunnel(client)
        sent = send_until_blocked(client)
        client.shutdown(socket.SHUT_WR)
        origin.go.set()
        assert origin.got(sent)
        client.settimeout(PATIENCE)
        assert client.recv(1) == b"", "the tunnel has ended"


def test_an_origin_gets_all_over_tls_too(limpet, origin, tls_port):
    with socket.create_connection(("127.0.0.1", tls_port)) as raw:
        client = client_context(alpn=()).wrap_socket(raw, server_hostname="on.test")
        start_tunnel(client)
        sent = bytes_of(20 * MIB)
        sender = threading.Thread(target=lambda: (client.sendall(sent), client.shutdown(socket.SHUT_WR)))
        sender.start()
        origin.go.set()
        assert origin.got(sent)
        sender.join()


def test_an_origin_that_talks_on_gets_all_that_its_client_sent_last(origin, certs, tls_port):
    origin.word = b"word"
    with Limpet(CONFIG, workers=1, log_level="debug", origin=origin.port, certs=certs, tls=tls_port) as limpet:
        with socket.create_connection(("127.0.0.1", limpet.port)) as client:
            start_tunnel(client)
            sent = bytes_of(MIB)
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            limpet.wait_log("http proxy: lingering")  # all of it has been passed on
            origin.go.set()
            assert origin.got(sent)


def test_an_origin_that_does_not_end_is_left_after_a_while(origin, certs, tls_port):
    """Far sooner than the 5 s that it has by default."""
    config = CONFIG.replace("client_max_body_size 0;", "client_max_body_size 0; lingering_timeout 100ms;")
    with Limpet(config, workers=1, log_level="debug", origin=origin.port, certs=certs, tls=tls_port) as limpet:
        with socket.create_connection(("127.0.0.1", limpet.port)) as client:
            client.settimeout(PATIENCE)
            start_tunnel(client)
            client.shutdown(socket.SHUT_WR)
            limpet.wait_log("http proxy: lingering")
            began = time.monotonic()
            assert client.recv(1) == b"" and time.monotonic() - began < 3


def test_a_client_gets_all_that_an_origin_sends_before_it_ends(limpet, origin):
    origin.last_words = bytes_of(50_000)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        client.connect(("127.0.0.1", limpet.port))
        start_tunnel(client)
        origin.go.set()
        assert origin.got(b"")  # its connection has been closed by then
        client.shutdown(socket.SHUT_WR)
        got = b""
        while data := client.recv(65536):
            got += data
        assert got == origin.last_words


def active(limpet):
    return int(get(limpet.port, "/status").text.split()[2])


def test_a_reset_ends_a_tunnel_whose_origin_does_not_read(limpet, origin):
    with socket.create_connection(("127.0.0.1", limpet.port)) as client:
        start_tunnel(client)
        send_until_blocked(client)
        assert active(limpet) == 2
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: active(limpet) == 1, "the tunnel to end", 5)
