"""Clients that reset their connection in the moment in which they also send: bytes and reset are one event."""
import os
import signal
import socket
import struct

import pytest

from client import get
from daemon import Limpet
from origin import Reply
from waiting import wait_until

CONFIG = """
events {{ }}
http {{
    server {{
        listen {{port}};
        location / {{ proxy_pass http://127.0.0.1:{{a}}; {settings} }}
        location /status {{ stub_status; }}
    }}
}}
"""
PART_OF_A_BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhello"
PIPELINED = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2


def active(limpet):
    return int(get(limpet.port, "/status").text.split()[2])


def send_and_reset(limpet, data):
    """The worker finds both when it looks: it stands still meanwhile."""
    worker, = limpet.workers()
    before = active(limpet)
    with socket.create_connection(("127.0.0.1", limpet.port)) as client:
        wait_until(lambda: active(limpet) == before + 1, "the connection to be accepted")
        os.kill(worker, signal.SIGSTOP)
        try:
            client.sendall(data)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        finally:
            os.kill(worker, signal.SIGCONT)


@pytest.mark.parametrize("settings, data", [
    ("", PART_OF_A_BODY),
    ("proxy_request_buffering off;", PART_OF_A_BODY),
    ("client_body_buffer_size 1;", PART_OF_A_BODY),
    ("mirror /status;", PART_OF_A_BODY),
    ("", PIPELINED),
    ("proxy_request_buffering off;", PIPELINED),
], ids=["body", "streamed body", "body in a file", "mirrored", "pipelined", "pipelined, streamed"])
def test_the_connection_ends_though_nothing_is_written_to_it(origins, settings, data):
    origin, = origins("a")
    origin.respond = lambda request: Reply(delay=30)  # longer than anybody waits here
    with Limpet(CONFIG.format(settings=settings), workers=1, a=origin.port) as limpet:
        send_and_reset(limpet, data)
        wait_until(lambda: active(limpet) == 1, "the connection to end", 5)
