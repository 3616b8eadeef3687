"""Large bodies: what a worker keeps in memory does not grow with them."""
import os
import socket
import threading

import pytest

from client import Connection
from daemon import Limpet, sanitized
from origin import Reply
from ports import free_port
from waiting import wait_until

MIB = 1 << 20
SIZE = int(os.environ.get("LIMPET_TEST_BODY_MIB", "200")) * MIB
PIECE = bytes(range(256)) * 256
CONFIG = """
events { }
http {
    server {
        listen {port};
        client_max_body_size 0;
        location / { proxy_pass http://127.0.0.1:{origin}; proxy_max_temp_file_size 0; }
        location /unbuffered { proxy_pass http://127.0.0.1:{origin}; proxy_buffering off; }
        location /streamed { proxy_pass http://127.0.0.1:{origin}; proxy_request_buffering off; }
    }
}
"""


class Source:
    """A server that sends SIZE bytes to whoever asks, as fast as they are taken, and counts what is gone."""

    def __init__(self):
        self.port = free_port()
        self.sent = 0
        self.received = 0
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        try:
            while True:
                connection, _ = self.listener.accept()
                with connection:
                    self._exchange(connection)
        except OSError:
            pass

    def _exchange(self, connection):
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        head, _, rest = head.partition(b"\r\n\r\n")
        if head.startswith(b"POST"):
            self.received = len(rest)
            while self.received < SIZE:
                self.received += len(connection.recv(1 << 18))
        self.sent = 0
        size = SIZE if head.startswith(b"GET") else 0
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while self.sent < size:
            connection.sendall(PIECE)
            self.sent += len(PIECE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def peak_memory(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def check_memory(limpet):
    (worker,) = limpet.workers()
    if not sanitized():  # whose shadow memory is far larger than what it watches
        assert peak_memory(worker) < 32 * MIB


def stands_still(value):
    """True once the value has not changed over a few looks: who sends is held back."""
    seen = []

    def look():
        seen.append(value())
        return len(seen) > 30 and len(set(seen[-30:])) == 1 and seen[-1] > 0

    wait_until(look, "the source to be held back")


@pytest.mark.parametrize("path", ["/", "/unbuffered"])
def test_a_slow_client_holds_the_upstream_back(path):
    with Source() as source, Limpet(CONFIG, workers=1, origin=source.port) as limpet:
        with Connection(limpet.port) as client:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
            stands_still(lambda: source.sent)
            assert source.sent < 32 * MIB
            while client.stream.readline().strip():
                pass
            for _ in range(SIZE // len(PIECE)):
                assert client.stream.read(len(PIECE)) == PIECE
        check_memory(limpet)


@pytest.mark.parametrize("path", ["/", "/streamed"])
def test_a_large_upload(path):
    with Source() as source, Limpet(CONFIG, workers=1, origin=source.port) as limpet:
        with Connection(limpet.port) as client:
            client.send(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {SIZE}\r\n\r\n")
            for _ in range(SIZE // len(PIECE)):
                client.send(PIECE)
            assert client.response().status == 200
        assert source.received == SIZE
        check_memory(limpet)


def test_a_fast_upstream_is_released_by_a_temporary_file(origins):
    (origin,) = origins("origin", respond=lambda request: Reply(PIECE * 512))
    config = CONFIG.replace("proxy_max_temp_file_size 0;", "")
    with Limpet(config, workers=1, origin=origin.port) as limpet:
        with Connection(limpet.port) as client:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            wait_until(lambda: origin.hits == 1 and not origin._open, "the origin to be done")
            assert client.response().body == PIECE * 512
        check_memory(limpet)
