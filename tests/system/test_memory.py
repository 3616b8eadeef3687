"""What a connection may cost a worker in each of its states (the table in worker/http/README.md), and that a flood leaves nothing."""
import gzip
import os
import re
import resource
import socket
import ssl
import time

import pytest

from certificates import Authority
from client import get
from daemon import Limpet, sanitized
from gate import Gate
from http2 import Http2
from origin import Origin, Reply
from ports import free_port
from waiting import PATIENCE, wait_until

KIB = 1024
CONFIG = """
worker_rlimit_nofile 16384;
worker_shutdown_timeout 1s;
events { worker_connections 16000; }
http {
    client_max_body_size 0;
    client_header_timeout 300s;
    client_body_timeout 300s;
    client_body_temp_path {dir}/body;
    gzip_types *;
    server {
        listen {port};
        http2 on;
        listen {proxied} proxy_protocol;
        listen {tls} ssl;
        ssl_certificate {certs}/any.test.crt;
        ssl_certificate_key {certs}/any.test.key;
        root {dir};
        location = /ok { return 200 ok; }
        location = /active { stub_status; }
        location /waits { proxy_pass http://127.0.0.1:{gate}; }
        location /body { proxy_pass http://127.0.0.1:{origin}; }
        location /upload { proxy_request_buffering off; proxy_pass http://127.0.0.1:{deaf}; }
        location /fast { proxy_pass http://127.0.0.1:{fast}; }
        location /plain { proxy_pass http://127.0.0.1:{origin}; proxy_max_temp_file_size 0; }
        location /unbuffered { proxy_pass http://127.0.0.1:{origin}; proxy_buffering off; }
        location /gunzip { gunzip on; proxy_pass http://127.0.0.1:{origin}; }
        location /gzip { gzip on; proxy_pass http://127.0.0.1:{origin}; }
        location /file { gzip on; }
        location /sub { sub_filter_types *; sub_filter_once off; sub_filter a {long}; proxy_pass http://127.0.0.1:{origin}; }
        location /tunnel {
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_pass http://127.0.0.1:{origin};
        }
        location /events { proxy_buffering off; proxy_pass http://127.0.0.1:{events}; }
    }
}
"""
HEAD = "Host: x\r\n"


pytestmark = pytest.mark.skipif(sanitized(), reason="shadow memory is far larger than what it watches")


@pytest.fixture(autouse=True)
def enough_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(16384, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def answer(request):
    """1.5 MiB, of a kind that filters make the most of; less than the kernel and the spool would hide."""
    if request.target.startswith("/gunzip"):
        return Reply(BOMB, headers=[("Content-Encoding", "gzip"), ("Content-Type", "text/plain")])
    if request.target.startswith("/gzip"):
        return Reply(NOISE, headers=[("Content-Type", "text/plain")])
    return Reply(b"a" * 1500 * KIB)


BOMB = gzip.compress(b"\0" * (64 << 20))
NOISE = os.urandom(4 << 20)


class Events(Origin):
    """Streams that say one word and then nothing more."""

    def _exchange(self, connection, stream):
        super()._exchange(connection, stream)
        stream.read1(1)  # until the other side ends it
        return False


@pytest.fixture(scope="module")
def limpet(tmp_path_factory):
    certs = tmp_path_factory.mktemp("certs")
    Authority(certs).issue("any.test")
    gate = Gate()
    event = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nevent\n\r\n"
    with Origin("gate", respond=gate) as waits, Origin("origin", respond=answer, send_buffer=64 * KIB) as origin, \
            Origin("fast", respond=lambda request: Reply(NOISE)) as fast, \
            Events("events", respond=lambda request: Reply(raw=event)) as events, \
            socket.create_server(("127.0.0.1", 0), backlog=1000) as deaf, \
            Limpet(CONFIG, workers=1, log_level="notice", proxied=free_port(), tls=free_port(), certs=certs, gate=waits.port,
                   origin=origin.port, fast=fast.port, events=events.port, deaf=deaf.getsockname()[1], long="b" * 1000) as limpet:
        with open(limpet.path("file"), "wb") as file:
            file.write(NOISE * 4)
        limpet.origin = origin
        limpet.asked = lambda: waits.hits + origin.hits + events.hits
        yield limpet
        gate.opened.set()


def active(limpet):
    return int(re.search(r"Active connections: (\d+)", get(limpet.port, "/active").text)[1]) - 1


def memory(limpet, kind="RssAnon"):
    """Bytes of the worker that are its own; with VmRSS, all that it has in memory."""
    (worker,) = limpet.workers()
    with open(f"/proc/{worker}/status") as status:
        return next(int(line.split()[1]) * KIB for line in status if line.startswith(kind))


def settled(limpet):
    """When nothing has changed for a moment: what was asked for has come as far as it can."""
    seen = [memory(limpet)]
    end = time.monotonic() + PATIENCE
    while len(seen) < 10 or max(seen[-10:]) - min(seen[-10:]) > 64 * KIB:
        assert time.monotonic() < end, seen[-10:]
        time.sleep(0.03)
        seen.append(memory(limpet))
    return seen[-1]


def fresh_worker(limpet, kind):
    """One that keeps nothing of other tests, and has what the first connections of each kind need; its memory."""
    limpet.reload()
    for client in [*kept(limpet, 5), *tls_kept(limpet, 5)]:
        client.close()
    wait_until(lambda: active(limpet) == 0, "an idle worker")
    settled(limpet)
    return memory(limpet, kind)


def connect(port):
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(PATIENCE)
    client.connect(("127.0.0.1", port))
    return client


def request(port, path, more=""):
    client = connect(port)
    client.sendall(f"GET {path} HTTP/1.1\r\n{HEAD}{more}\r\n".encode())
    return client


def silent(limpet, count):
    return [connect(limpet.port) for _ in range(count)]


def kept(limpet, count):
    clients = [request(limpet.port, "/ok") for _ in range(count)]
    for client in clients:
        assert client.recv(1000).endswith(b"ok")
    return clients


def half_a_head(limpet, count):
    clients = silent(limpet, count)
    for client in clients:
        client.sendall(f"GET / HTTP/1.1\r\n{HEAD}X: {'x' * 1000}".encode())
    return clients


def trickle(limpet, count, header, piece):
    """Bodies of which each byte comes alone."""
    clients = silent(limpet, count)
    for client in clients:
        client.sendall(f"POST /body HTTP/1.1\r\n{HEAD}{header}\r\n\r\n".encode())
    for _ in range(40):
        for client in clients:
            client.sendall(piece)
    return clients


def body(limpet, count):
    return trickle(limpet, count, "Content-Length: 100000", b"x")


def chunked_body(limpet, count):
    return trickle(limpet, count, "Transfer-Encoding: chunked", b"1\r\nx\r\n")


def streamed_upload(limpet, count):
    """To a server that does not read."""
    clients = silent(limpet, count)
    for client in clients:
        client.sendall(f"POST /upload HTTP/1.1\r\n{HEAD}Content-Length: 9000000\r\n\r\n".encode())
        client.setblocking(False)
    for _ in range(100):  # until nothing more goes
        sent = 0
        for client in clients:
            try:
                sent += client.send(bytes(64 * KIB))
            except BlockingIOError:
                pass
        time.sleep(0.01)
        if sent == 0:
            break
    return clients


def proxied(limpet, count):
    before = limpet.asked()
    clients = [request(limpet.port, "/waits") for _ in range(count)]
    wait_until(lambda: limpet.asked() == before + count, "the requests at the origin")
    return clients


def held_streams(limpet, count):
    """Twenty on each connection."""
    before = limpet.asked()
    clients = [Http2(limpet.port) for _ in range(count)]
    for client in clients:
        for _ in range(20):
            client.ask("/waits")
    wait_until(lambda: limpet.asked() == before + 20 * count, "the requests at the origin")
    return clients


def stalled(path, more=""):
    def make(limpet, count):
        clients = [request(limpet.port, path, more) for _ in range(count)]
        for client in clients:
            assert client.recv(16).startswith(b"HTTP/1.1 200")
        return clients
    return make


def wrapped(limpet, count):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return [context.wrap_socket(connect(limpet.values["tls"])) for _ in range(count)]


def tls_handshake(limpet, count):
    clients = [connect(limpet.values["tls"]) for _ in range(count)]
    for client in clients:
        client.sendall(b"\x16\x03\x01\x02\x00\x01")  # the beginning of a hello
    return clients


def tls_asked(limpet, count, path):
    clients = wrapped(limpet, count)
    for client in clients:
        client.sendall(f"GET {path} HTTP/1.1\r\n{HEAD}\r\n".encode())
    return clients


def tls_kept(limpet, count):
    clients = tls_asked(limpet, count, "/ok")
    for client in clients:
        assert client.recv(1000).endswith(b"ok")
    return clients


def tls_stalled(limpet, count):
    clients = tls_asked(limpet, count, "/fast")
    for client in clients:
        assert client.recv(16).startswith(b"HTTP/1.1 200")
    return clients


def proxy_header(limpet, count):
    clients = [connect(limpet.values["proxied"]) for _ in range(count)]
    for client in clients:
        client.sendall(b"PROXY TCP4 ")
    return clients


def tunnel(limpet, count):
    clients = [request(limpet.port, "/tunnel", "Upgrade: websocket\r\nConnection: upgrade\r\n") for _ in range(count)]
    for client in clients:
        assert client.recv(1000).startswith(b"HTTP/1.1 101")
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"
    return clients


def event_stream(limpet, count):
    clients = [request(limpet.port, "/events") for _ in range(count)]
    for client in clients:
        stream = client.makefile("rb")
        while stream.readline() != b"event\n":
            pass
    return clients


GZIP = "Accept-Encoding: gzip\r\n"
COSTS = [  # connections, KiB for each: as worker/http/README.md says
    (silent, 1000, 1.5),
    (kept, 1000, 1.5),
    (half_a_head, 500, 8),
    (body, 500, 24),
    (chunked_body, 500, 24),
    (streamed_upload, 50, 192),
    (proxied, 200, 8),
    (held_streams, 10, 150),
    (stalled("/body"), 100, 96),
    (stalled("/plain"), 100, 96),
    (stalled("/unbuffered"), 100, 96),
    (tls_stalled, 50, 400),
    (stalled("/gunzip"), 100, 192),
    (stalled("/gzip", GZIP), 50, 480),
    (stalled("/file", GZIP), 50, 480),
    (stalled("/sub"), 100, 192),
    (tls_handshake, 200, 64),
    (tls_kept, 200, 24),
    (proxy_header, 500, 1.5),
    (tunnel, 200, 24),
    (event_stream, 200, 16),
]
NAMES = ["silent", "kept", "half a head", "body", "chunked body", "upload", "proxied", "streams", "spooled", "plain", "unbuffered", "tls", "gunzip", "gzip", "file",
         "sub", "tls handshake", "tls kept", "proxy header", "tunnel", "event stream"]


@pytest.mark.parametrize("make, count, most", COSTS, ids=NAMES)
def test_what_a_connection_costs(limpet, make, count, most):
    before = fresh_worker(limpet, "RssAnon")
    clients = make(limpet, count)
    wait_until(lambda: active(limpet) == count, "the connections")
    cost = (settled(limpet) - before) / count / KIB
    for client in clients:
        client.close()
    print(f"{cost:.1f} KiB")
    assert cost <= most


@pytest.mark.parametrize("flood", [body, chunked_body, half_a_head, silent], ids=["bodies", "chunked", "heads", "silent"])
def test_a_flood_leaves_nothing(limpet, flood):
    """Three times, as what stays must not add up; with the memory of a worker at work before it."""
    before = fresh_worker(limpet, "VmRSS")
    for _ in range(3):
        clients = flood(limpet, 1000)
        wait_until(lambda: active(limpet) == 1000, "the connections")
        for client in clients:
            client.close()
        wait_until(lambda: active(limpet) == 0, "their end")
        wait_until(lambda: memory(limpet, "VmRSS") <= 1.3 * before, f"memory as before, {before} bytes")
