"""A client that reads slowly does not hold its upstream server, whatever filter stands between them."""
import gzip
import os
import socket

import pytest

from client import get
from daemon import Limpet
from http2 import Http2
from origin import Reply
from waiting import wait_until

BODY = os.urandom(3 << 20).hex().encode()  # 6 MiB of text, which halves
CONFIG = """
events { }
http {
    gunzip on;
    sub_filter_once off;
    upstream app { zone app 64k; server 127.0.0.1:{origin} max_conns=1; keepalive 1; }
    server {
        listen {port} sndbuf=32k;
        http2 on;
        location /second { proxy_pass http://app; }
        location /gzip { gzip on; gzip_types *; gzip_comp_level 1; proxy_pass http://app; }
        location /sub { sub_filter '</none>' x; sub_filter_types *; proxy_pass http://app; }
        location /range { proxy_force_ranges on; proxy_pass http://app; }
        location /packed { proxy_pass http://app; }
        location /rate { limit_rate 40k; gzip on; gzip_types *; gzip_comp_level 1; proxy_pass http://app; }
        location /held { proxy_max_temp_file_size 0; gzip on; gzip_types *; proxy_pass http://app; }
    }
}
"""


def respond(request):
    if request.target == "/second":
        return Reply(b"second")
    if request.target == "/packed":
        return Reply(gzip.compress(BODY, 1), headers=[("Content-Encoding", "gzip"), ("Content-Type", "text/plain")])
    return Reply(BODY, headers=[("Content-Type", "text/plain")])


@pytest.fixture
def limpet(origins):
    (origin,) = origins("origin", respond=respond)
    with Limpet(CONFIG, workers=1, origin=origin.port) as made:
        yield made


def ask(limpet, path, field=""):
    """A request whose answer waits in the client's socket, which holds a few kilobytes."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(20)
    client.connect(("127.0.0.1", limpet.port))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{field}\r\n".encode())
    return client


def read_all(client):
    """The rest, as it came."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    data = bytearray()
    while (piece := client.recv(1 << 20)):
        data += piece
    client.close()
    return bytes(data)


def body_of(raw):
    head, _, rest = raw.partition(b"\r\n\r\n")
    if b"chunked" not in head:
        return rest
    body = bytearray()
    while True:
        size, _, rest = rest.partition(b"\r\n")
        if int(size, 16) == 0:
            return bytes(body)
        body += rest[:int(size, 16)]
        rest = rest[int(size, 16) + 2:]


def wait_second(limpet):
    """The server is free for another request, though nobody has read the first answer."""
    wait_until(lambda: get(limpet.port, "/second").status == 200, "the server to be free")


GZIP = "Accept-Encoding: gzip\r\n"


@pytest.mark.parametrize("path, field, text", [
    ("/gzip", GZIP, gzip.decompress),
    ("/sub", "", bytes),
    ("/packed", "", bytes),
    ("/range", f"Range: bytes=0-{len(BODY) - 2}\r\n", lambda body: body + BODY[-1:]),
])
def test_its_answer_waits_in_a_file(limpet, path, field, text):
    with ask(limpet, path, field) as slow:
        head = slow.recv(100)
        assert head.startswith(b"HTTP/1.1 20")
        limpet.wait_log("is buffered to a temporary file")
        wait_second(limpet)
        assert text(body_of(head + read_all(slow))) == BODY


def test_http2(limpet):
    with Http2(limpet.port, reads=False, receive_buffer=4096) as slow:
        slow.ask("/gzip", headers=[("accept-encoding", "gzip")])
        limpet.wait_log("is buffered to a temporary file")
        wait_second(limpet)


def test_a_limited_rate(limpet):
    with ask(limpet, "/rate", GZIP) as slow:
        assert slow.recv(100).startswith(b"HTTP/1.1 200")
        limpet.wait_log("is buffered to a temporary file")
        wait_second(limpet)


def test_without_a_file_the_server_waits(limpet):
    with ask(limpet, "/held", GZIP) as slow:
        head = slow.recv(100)
        assert get(limpet.port, "/second").status == 502
        assert gzip.decompress(body_of(head + read_all(slow))) == BODY
    assert not limpet.log_lines("is buffered to a temporary file")
