"""Requests that end at each of their bytes, by an end and by a reset: nobody sees a request that was not whole."""
import socket
import struct

import pytest

import wire
from daemon import Limpet
from recorder import Recorder

CONFIG = """
worker_processes 1;
events { }
http {
    access_log off;
    upstream up { server 127.0.0.1:{backend}; keepalive 1; }
    server {
        listen 127.0.0.1:{port};
        location / { proxy_pass http://up; }
        location /streamed { proxy_pass http://up; proxy_request_buffering off; }
    }
}
"""
REQUESTS = {
    "GET": b"GET /p HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\n\r\n",
    "a length": b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789",
    "chunks": b"POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nX: y\r\n\r\n",
    "a streamed length": b"POST /streamed HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789",
    "streamed chunks": b"POST /streamed HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
}


@pytest.fixture(scope="module")
def limpet():
    recorder = Recorder()
    with Limpet(CONFIG, backend=recorder.port) as running:
        running.recorder = recorder
        yield running
    recorder.stop()


def break_off(port, data, reset):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(data)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("reset", [False, True], ids=["end", "reset"])
@pytest.mark.parametrize("name", REQUESTS)
def test_each_byte(limpet, name, reset):
    data = REQUESTS[name]
    limpet.recorder.clear()
    for size in range(len(data)):
        break_off(limpet.port, data[:size], reset)
    whole = wire.exchange(limpet.port, data.replace(b"Host: x", b"Host: x\r\nConnection: close"))
    assert wire.tell(whole) == "200"
    messages = limpet.recorder.messages
    assert sum(message.whole for message in messages) == 1, messages
    assert limpet.recorder.loose == []


@pytest.mark.parametrize("name", REQUESTS)
def test_an_end_behind_each_byte_is_answered_or_closed(limpet, name):
    """A client that has nothing more to say still listens."""
    data = REQUESTS[name]
    for size in range(0, len(data), 3):
        told = wire.tell(wire.exchange(limpet.port, data[:size], half_close=True))
        assert told in ("nothing", "400", "408", "502"), (size, told)
