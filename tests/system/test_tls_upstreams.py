"""Upstream servers that speak TLS in ways of their own, and what the log says of them."""
import socket
import ssl
import subprocess
import threading

import pytest

from certificates import Authority
from client import get
from daemon import Limpet
from ports import free_port
from waiting import PATIENCE, wait_until

CONFIG = """
events { }
http {
    server { listen {port}; location / { proxy_pass https://127.0.0.1:{app}; } }
}
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = Authority(tmp_path_factory.mktemp("certs"))
    made.issue("app.test")
    return made


class SpokenServer:
    """`openssl s_server`, which does and says what it is told."""

    def __init__(self, authority, *options):
        self.port = free_port()
        self.process = subprocess.Popen(
            ["openssl", "s_server", "-accept", str(self.port), "-cert", authority.path("app.test.crt"), "-key",
             authority.path("app.test.key"), *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.said = b""
        threading.Thread(target=self._listen, daemon=True).start()
        self.wait(b"ACCEPT")

    def _listen(self):
        while data := self.process.stdout.read1():
            self.said += data

    def wait(self, text):
        wait_until(lambda: text in self.said, text)
        self.said = self.said.partition(text)[2]

    def tell(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


@pytest.mark.parametrize("command", [b"r\n", b"R\n"], ids=["for new keys", "for a certificate"])
def test_a_server_that_renegotiates(authority, command):
    with SpokenServer(authority, "-tls1_2") as app, Limpet(CONFIG, workers=1, app=app.port) as limpet:
        answers = []
        client = threading.Thread(target=lambda: answers.append(get(limpet.port, "/")))
        client.start()
        app.wait(b"\r\n\r\n")
        app.tell(command)
        app.wait(b"SSL_do_handshake -> 1")
        app.tell(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc\n")
        client.join(PATIENCE)
        assert [answer.text for answer in answers] == ["abc"]


class OneConnection:
    """A server that does `serve` with its only connection."""

    def __init__(self, serve):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._serve = serve
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        connection, _ = self._listener.accept()
        connection.settimeout(PATIENCE)
        try:
            self._serve(connection)
        except (ssl.SSLError, OSError):
            pass
        connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._thread.join(PATIENCE)
        self._listener.close()


def log_of(serve, pattern):
    with OneConnection(serve) as app, Limpet(CONFIG, workers=1, app=app.port) as limpet:
        assert get(limpet.port, "/").status == 502
        line, = limpet.wait_log(pattern)
        return line


def test_a_server_that_closes_in_the_handshake_has_reset_nothing(authority):
    line = log_of(lambda connection: connection.recv(65536), "peer closed connection in SSL handshake")
    assert "[error]" in line and "in SSL handshake while SSL handshaking to upstream, client: " in line


def test_a_server_that_wants_a_certificate_says_so_after_the_handshake(authority):
    """With TLS 1.3 its alert comes instead of an answer."""
    def serve(connection):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(authority.path("app.test.crt"), authority.path("app.test.key"))
        tls.load_verify_locations(authority.certificate)
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.wrap_socket(connection, server_side=True)

    line = log_of(serve, "certificate required")
    assert "[error]" in line and " SSL_read() failed (SSL: error:" in line
    assert " while reading response header from upstream, client: " in line
