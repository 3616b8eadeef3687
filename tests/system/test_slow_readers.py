"""Many clients that read slowly: what a worker keeps for them is bounded, whatever they asked for."""
import resource
import socket

import pytest

from client import get
from daemon import Limpet, sanitized
from origin import Reply
from waiting import PATIENCE, wait_until

MIB = 1 << 20
BODY = bytes(range(256)) * 4 * 1024 * 10  # 10 MiB
READERS = {"/": 100, "/unspooled": 500, "/unbuffered": 500}  # what is spooled goes through the disk
CONFIG = """
worker_rlimit_nofile 4096;
events { worker_connections 2048; }
http {
    server {
        listen {port};
        location / { proxy_pass http://127.0.0.1:{origin}; }
        location /unspooled { proxy_pass http://127.0.0.1:{origin}; proxy_max_temp_file_size 0; }
        location /unbuffered { proxy_pass http://127.0.0.1:{origin}; proxy_buffering off; }
    }
}
"""
RATE = 20 * 1024
AT_ONCE = 200 * 1024  # more than the sockets hold
PACED = BODY[:AT_ONCE + 4 * RATE]  # the last of it is sent after three seconds
PACED_CONFIG = """
events { }
http {
    server {
        listen {port} sndbuf=32k;
        limit_rate_after %d;
        limit_rate %d;
        send_timeout 2s;
        location / { proxy_pass http://127.0.0.1:{origin}; }
        location /file { root {dir}; }
    }
}
""" % (AT_ONCE, RATE)


def peak_memory(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


@pytest.fixture(autouse=True)
def enough_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def ask(port, path):
    """A request whose answer waits in the client's socket, which holds a few kilobytes."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    return client


@pytest.mark.parametrize("path", ["/", "/unspooled", "/unbuffered"])
def test_five_hundred_readers(origins, path):
    # More in the kernel's hands, and it makes every window small: nobody would get on.
    (origin,) = origins("origin", respond=lambda request: Reply(BODY), send_buffer=64 * 1024)
    with Limpet(CONFIG, workers=1, log_level="error", origin=origin.port) as limpet:
        (worker,) = limpet.workers()
        clients = [ask(limpet.port, path) for _ in range(READERS[path])]
        heads = [client.recv(1000) for client in clients]
        assert all(head.startswith(b"HTTP/1.1 200") for head in heads)
        wait_until(lambda: origin.hits == READERS[path], "all requests at the origin")
        assert get(limpet.port, "/").body == BODY  # the worker is not stuck behind them
        if not sanitized():  # whose shadow memory is far larger than what it watches
            assert peak_memory(worker) < 64 * MIB
        last = clients[-1]
        last.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MIB)  # slow no more: the rest is not to take minutes
        got = len(heads[-1])
        while (piece := last.recv(1 << 20)):
            got += len(piece)
        assert got > len(BODY)  # and a slow one gets all of it
        for client in clients:
            client.close()


@pytest.mark.parametrize("path", ["/", "/file"])
def test_send_timeout_does_not_run_while_the_rate_holds_the_answer_back(origins, path):
    """Its socket was full once; from then on the client takes all that it is sent, at once."""
    (origin,) = origins("origin", respond=lambda request: Reply(PACED))
    with Limpet(PACED_CONFIG, workers=1, origin=origin.port) as limpet:
        with open(limpet.path("file"), "wb") as file:
            file.write(PACED)
        client = ask(limpet.port, path)
        client.settimeout(PATIENCE)
        data = bytearray(client.recv(1))  # by now the rest stands before the full socket
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        while (piece := client.recv(1 << 16)):
            data += piece
        client.close()
        assert bytes(data).partition(b"\r\n\r\n")[2] == PACED
        assert not limpet.log_lines("timed out")
