"""The last answer of a connection arrives as a whole, whatever the client has sent meanwhile: to close a connection with something
unread is to reset it, and a reset takes away what the client has not read yet."""
import pytest

from certificates import folder_with
from client import Connection
from daemon import Limpet
from gate import Gate
from origin import Origin, Reply
from ports import free_port
from tls_records import APPLICATION_DATA, HANDSHAKE, KEY_UPDATE, TlsRecords
from waiting import wait_until

CONFIG = """
events { }
http {
    log_format done done;
    server {
        listen {port};
        listen {tls} ssl;
        ssl_certificate {certs}/on.test.crt;
        ssl_certificate_key {certs}/on.test.key;
        location / { proxy_pass http://127.0.0.1:{app}; proxy_buffers 64 64k; access_log {dir}/access.log done; }
    }
}
"""
LAST = b"GET / HTTP/1.1\r\nHost: on.test\r\nConnection: close\r\n\r\n"
BODY = bytes(2_000_000)  # the system's buffers hold it, but not the client's alone


class LargeGate(Gate):
    def __call__(self, request):
        super().__call__(request)
        return Reply(BODY)


class PlainClient(Connection):
    def say(self):
        self.send(LAST)

    def say_more(self):
        self.send(LAST)

    def read(self):
        return self.socket.recv(65536)


class TlsClient(TlsRecords):
    def __init__(self, port):
        super().__init__(port, alpn=("http/1.1",))

    def say(self):
        self.send(APPLICATION_DATA, LAST)

    def say_more(self):
        self.send(HANDSHAKE, KEY_UPDATE[:4] + b"\1")  # asks for one of ours


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return folder_with(tmp_path_factory, "on.test")


@pytest.mark.parametrize("kind, port", [(PlainClient, "port"), (TlsClient, "tls")], ids=["plain", "a change of keys"])
def test_what_has_not_been_read_of_the_client_costs_no_answer(certs, kind, port):
    gate = LargeGate()
    with Origin(respond=gate) as app, Limpet(CONFIG, workers=1, app=app.port, certs=certs, tls=free_port()) as limpet, \
            kind(limpet.values[port]) as client:
        client.say()
        gate.waiting.acquire()
        client.say_more()
        gate.opened.set()
        wait_until(lambda: "done" in open(limpet.path("access.log")).read(), "the answer to leave")
        got = b""
        while data := client.read():
            got += data
            client.socket.sendall(LAST)  # nobody looks any more at what is no TLS
        assert got.partition(b"\r\n\r\n")[2] == BODY
