"""$request_completion: OK is said of answers that have gone out to their end, and of no others."""
import os
import socket
import struct

import pytest

from client import Connection, get
from daemon import Limpet
from http2 import Http2
from origin import Reply
from waiting import wait_until

CONFIG = """
events { }
http {
    log_format completion '$uri $request_completion.';
    access_log {dir}/completion.log completion;
    server {
        listen {port};
        http2 on;
        root {dir}/www;
        location / { }
        location /slow/ { alias {dir}/www/; limit_rate 1k; }
        location /deaf/ { alias {dir}/www/; send_timeout 300ms; }
        location /proxied/ { proxy_pass http://127.0.0.1:{origin}; }
        location /patient/ { proxy_pass http://127.0.0.1:{origin}; proxy_ignore_client_abort on; }
    }
}
"""
BIG = 20_000_000


@pytest.fixture
def limpet(origins):
    (origin,) = origins("origin", respond=lambda request: Reply(b"x" * BIG))
    daemon = Limpet(CONFIG, workers=1, start=False, origin=origin.port)
    os.mkdir(daemon.path("www"))
    for name, size in ("small", 3), ("big", BIG):
        with open(daemon.path(f"www/{name}"), "wb") as out:
            out.write(b"x" * size)
    with daemon:
        daemon.start()
        yield daemon


def logged(limpet):
    def read():
        with open(limpet.path("completion.log")) as text:
            return text.read().splitlines()
    return wait_until(read, "a line in completion.log")


def break_off(limpet, path):
    """Asks, and resets the connection once the answer has begun."""
    with Connection(limpet.port) as connection:
        connection.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.socket.recv(100)
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("path", ["/small", "/big", "/proxied/", "/patient/", "/none"])
def test_whole_answers_are_ok(limpet, path):
    get(limpet.port, path)
    assert logged(limpet) == [f"{path} OK."]


@pytest.mark.parametrize("path", ["/slow/big", "/big", "/proxied/", "/patient/"])
def test_a_client_that_leaves_has_no_whole_answer(limpet, path):
    break_off(limpet, path)
    assert logged(limpet) == [f"{path} ."]


def test_a_client_that_takes_nothing_has_no_whole_answer(limpet):
    with Connection(limpet.port) as connection:
        connection.send("GET /deaf/big HTTP/1.1\r\nHost: x\r\n\r\n")
        assert logged(limpet) == ["/deaf/big ."]


@pytest.mark.parametrize("path", ["/small", "/proxied/"])
def test_whole_answers_of_http2_are_ok(limpet, path):
    with Http2(limpet.port) as client:
        assert client.get(path).status == 200
        assert logged(limpet) == [f"{path} OK."]


@pytest.mark.parametrize("path", ["/big", "/slow/big", "/proxied/"])
def test_a_stream_that_is_reset_has_no_whole_answer(limpet, path):
    with Http2(limpet.port, reads=False) as client:
        stream = client.ask(path)
        client.until(lambda: client.streams[stream].body)
        client.reset(stream)
        assert logged(limpet) == [f"{path} ."]
