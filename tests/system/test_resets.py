"""Clients that reset their connection: in the moment in which they also send, so that bytes and reset are one event;
in the middle of a long answer; and upstreams that do."""
import fcntl
import os
import signal
import socket
import ssl
import struct
import termios
import threading

import pytest

from certificates import Authority
from client import get
from daemon import Limpet, cpu_seconds
from origin import Reply
from ports import free_port
from waiting import PATIENCE, wait_until

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


IGNORED = """
events { }
http {
    log_format told "$status $upstream_bytes_received";
    access_log {dir}/access.log told;
    server {
        listen {port} sndbuf=64k;
        location / { proxy_pass http://127.0.0.1:{a}; proxy_ignore_client_abort on; proxy_max_temp_file_size 0; }
    }
}
"""
LONG = b"x" * 1_700_000


def unread(client):
    return struct.unpack("i", fcntl.ioctl(client, termios.FIONREAD, bytes(4)))[0]


def wait_until_full(client):
    """Until it has been sent as much as it takes without reading."""
    seen = []

    def look():
        seen.append(unread(client))
        return len(seen) > 20 and seen[-1] > 0 and len(set(seen[-20:])) == 1

    wait_until(look, "the client to be full")


def how_it_ends(limpet, data):
    with socket.create_connection(("127.0.0.1", limpet.port), PATIENCE) as client:
        client.sendall(data)
        try:
            return client.recv(100)
        except ConnectionResetError:
            return "reset"


@pytest.mark.parametrize("settings, end", [("reset_timedout_connection on;", "reset"), ("", b"")])
@pytest.mark.parametrize("ending, data", [
    ("return 444;", PIPELINED[:len(PIPELINED) // 2]),
    ("client_body_timeout 100ms;", PART_OF_A_BODY),
    ("client_body_timeout 100ms; proxy_request_buffering off;", PART_OF_A_BODY),
], ids=["444", "body", "streamed body"])
def test_reset_timedout_connection(origins, settings, end, ending, data):
    origin, = origins("a")
    with Limpet(CONFIG.format(settings=settings + ending), workers=1, a=origin.port) as limpet:
        assert how_it_ends(limpet, data) == end


def test_a_long_answer_is_heard_to_its_end_without_its_client(origins):
    origin, = origins("a")
    origin.respond = lambda request: Reply(LONG, close=True)
    with Limpet(IGNORED, workers=1, a=origin.port) as limpet:
        worker, = limpet.workers()
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            client.connect(("127.0.0.1", limpet.port))
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(4096)
            wait_until_full(client)
            before = cpu_seconds(worker)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        def logged():
            with open(limpet.path("access.log")) as log:
                return log.read().split()

        told = wait_until(logged, "the line of the access log", 3)
        assert told[0] == "200" and int(told[1]) > len(LONG)
        assert cpu_seconds(worker) - before < 0.5


EARLY = """
events { }
http {
    server {
        listen {port} sndbuf=8k;
        proxy_http_version 1.1;
        proxy_request_buffering off;
        proxy_buffering off;
        proxy_read_timeout 60s;
        location /http { proxy_pass http://127.0.0.1:{plain}; }
        location /https { proxy_pass https://127.0.0.1:{tls}; }
    }
}
"""


class Hasty:
    """Answers at the end of a request's head, and resets the connection when it is told to: it reads no body."""

    SIZE = 95_000  # more than waits for the client, less than that and what the kernel has received

    def __init__(self, context=None):
        self.port = free_port()
        self.context = context
        self.told = threading.Event()
        self.gone = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        connection, _ = self.listener.accept()
        if self.context:
            connection = self.context.wrap_socket(connection, server_side=True)
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % self.SIZE + b"r" * self.SIZE)
        assert self.told.wait(PATIENCE)
        os.close(connection.detach())  # with bytes that nobody has read: a reset, and TLS says nothing
        self.gone.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*Authority(tmp_path_factory.mktemp("certs")).issue("localhost"))
    return made


@pytest.mark.parametrize("way", ["http", "https"])
def test_an_answer_is_read_to_its_end_though_its_upstream_reads_no_more(context, way):
    with Hasty() as plain, Hasty(context) as tls, Limpet(EARLY, workers=1, plain=plain.port, tls=tls.port) as limpet:
        upstream = tls if way == "https" else plain
        with socket.socket() as client:
            client.settimeout(PATIENCE)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            client.connect(("127.0.0.1", limpet.port))
            client.sendall(f"POST /{way} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n".encode() + b"b" * 1000)
            wait_until_full(client)
            client.sendall(b"b" * 1000)  # nobody reads it
            upstream.told.set()
            assert upstream.gone.wait(PATIENCE)
            for _ in range(2):
                client.sendall(b"b" * 1000)
                wait_until_full(client)
            got = 0
            while got < upstream.SIZE and (data := client.recv(65536)):
                got += len(data)
            assert got >= upstream.SIZE
