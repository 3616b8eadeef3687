"""What a client of TLS 1.3 may do with its records, and hardly any client does."""
import pytest
from hpack import Encoder

from certificates import folder_with
from daemon import Limpet, cpu_seconds
from gate import Gate
from http2 import PREFACE, raw_frame
from origin import Origin
from tls_records import APPLICATION_DATA, HANDSHAKE, KEY_UPDATE, TlsRecords
from waiting import PATIENCE

CONFIG = """
events { }
http {
    server {
        listen {port} ssl;
        http2 on;
        ssl_certificate {certs}/on.test.crt;
        ssl_certificate_key {certs}/on.test.key;
        location / { proxy_pass http://127.0.0.1:{app}; }
    }
}
"""
HEAD = [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "on.test")]


def until_read(client, what):
    got = b""
    while what not in got:
        data = client.read()
        assert data, got
        got += data


@pytest.mark.parametrize("alpn, sent, doing", [
    ("http/1.1", b"", "waiting for request"),
    ("http/1.1", b"GET / HT", "reading client request line"),
    ("http/1.1", b"POST / HTTP/1.1\r\nHost: on.test\r\nContent-Length: 10\r\n\r\nhello", ""),
    ("h2", PREFACE + raw_frame(4), "processing HTTP/2 connection"),
], ids=["idle", "head", "body", "http2"])
def test_what_is_no_record_is_told(tmp_path_factory, alpn, sent, doing):
    with Limpet(CONFIG, workers=1, app=1, certs=folder_with(tmp_path_factory, "on.test")) as limpet, \
            TlsRecords(limpet.port, (alpn,)) as client:
        if sent:
            client.send(APPLICATION_DATA, sent)
        client.socket.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
        line, = limpet.wait_log(r"SSL_read\(\) failed \(SSL: error:.*bad record mac\)")
        assert "[info]" in line and (f"mac) while {doing}, client: " if doing else "mac), client: ") in line


def test_a_message_in_two_records_is_waited_for(tmp_path_factory):
    """Until it is whole nothing can be sent either: the answer waits, and its worker does not turn round and round."""
    gate = Gate()
    with Origin(respond=gate) as app, \
            Limpet(CONFIG, workers=1, app=app.port, certs=folder_with(tmp_path_factory, "on.test")) as limpet, \
            TlsRecords(limpet.port) as client:
        client.send(APPLICATION_DATA, PREFACE + raw_frame(4) + raw_frame(1, 5, 1, Encoder().encode(HEAD)))
        gate.waiting.acquire()
        client.send(HANDSHAKE, KEY_UPDATE[:4])
        gate.opened.set()
        (worker,) = limpet.workers()
        before = cpu_seconds(worker)
        client.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            until_read(client, b"late")
        assert cpu_seconds(worker) - before < 0.1  # of 0.5 if it were busy
        client.socket.settimeout(PATIENCE)
        client.send(HANDSHAKE, KEY_UPDATE[4:])
        until_read(client, b"late")
