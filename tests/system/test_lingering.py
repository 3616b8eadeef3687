"""A connection that ends lingers: it reads what the client still sends for lingering_time, and waits for each piece for no longer
than lingering_timeout."""
import select
import time

import pytest

from client import Connection
from daemon import Limpet
from http2 import PROTOCOL_ERROR, Http2
from waiting import PATIENCE

CONFIG = """
events { }
http {
    access_log off;
    server {
        listen {port};
        http2 on;
        client_max_body_size 1;
        location / { return 200 ok; }
        {linger}
    }
}
"""
UPLOAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"


def limpet_with(linger):
    return Limpet(CONFIG, workers=1, log_level="debug", linger=linger)


def end_http1(port):
    """A connection whose answer was the last one, while a body is to come; and what sends a byte of that."""
    client = Connection(port)
    client.send(UPLOAD)
    assert client.response().status == 413
    return client.socket, "http1 connection: closed"


def end_http2(port):
    client = Http2(port)
    client.raw(kind=0x6, payload=b"short")  # a PING of five bytes
    client.until(lambda: client.goaway)
    client.until(lambda: client.closed)
    return client.socket, "http2 connection: closed"


KINDS = pytest.mark.parametrize("end", [end_http1, end_http2], ids=["http1", "http2"])


@KINDS
def test_a_silent_client_is_waited_for_no_longer_than_in_all(end):
    with limpet_with(f"lingering_time 200ms; lingering_timeout {10 * PATIENCE:.0f}s;") as limpet:
        socket, closed = end(limpet.port)
        with socket:
            limpet.wait_log(closed)


def trickle(limpet, socket, closed, seconds):
    """Sends a byte whenever nothing has happened for a while; the longest pause, and whether the connection was closed."""
    began = last = time.monotonic()
    longest = 0
    while last - began < seconds and not limpet.log_lines(closed):
        select.select([], [], [socket], 0.1)
        socket.send(b"x")
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    return longest, bool(limpet.log_lines(closed))


@KINDS
def test_a_client_that_goes_on_is_heard(end):
    with limpet_with("lingering_time 1h; lingering_timeout 1s;") as limpet:
        socket, closed = end(limpet.port)
        with socket:
            longest, is_closed = trickle(limpet, socket, closed, 2.5)
            assert not is_closed or longest > 0.8  # else it was we who were late
            limpet.wait_log(closed)  # silence ends it
