"""TLS handshakes that fail: each says why in the log, and the next client is served."""
import socket
import ssl

import pytest

from certificates import folder_with
from daemon import Limpet
from ports import free_port
from waiting import PATIENCE

CONFIG = """
events { }
http {
    client_header_timeout {timeout};
    ssl_certificate {certs}/on.test.crt;
    ssl_certificate_key {certs}/on.test.key;
    server { listen {port} ssl; server_name on.test; return 200 "$ssl_ciphers"; }
    server { listen {port} ssl; server_name no.test; ssl_reject_handshake on; }
    server { listen {proxied} proxy_protocol; return 200 proxied; }
}
"""


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return folder_with(tmp_path_factory, "on.test")


def start(certs, timeout="60s"):
    return Limpet(CONFIG, workers=1, certs=certs, timeout=timeout, proxied=free_port())


def connect(limpet):
    return socket.create_connection(("127.0.0.1", limpet.port), timeout=PATIENCE)


def context():
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    return tls


def hello(sni="on.test"):
    """The first bytes of a handshake."""
    outgoing = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=sni).do_handshake()
    return outgoing.read()


def test_what_fails_says_why(certs):
    with start(certs) as limpet:
        with connect(limpet) as client:
            client.sendall(b"\x16\x03\x01\x00\x05hello")
            while client.recv(100):
                pass
        limpet.wait_log(r"\[info\].*SSL_do_handshake\(\) failed \(SSL: error:.*\) while SSL handshaking, client: 127")
        connect(limpet).close()
        limpet.wait_log(r"\[info\] \S+ \S+ client closed connection while SSL handshaking, client: 127")
        with connect(limpet) as client:
            client.sendall(hello()[:20])
        gone = r"\[info\] \S+ \S+ peer closed connection in SSL handshake while SSL handshaking, client: 127"
        limpet.wait_log(gone)
        with connect(limpet) as client:
            client.sendall(hello())
            client.recv(1)
            client.shutdown(socket.SHUT_WR)
            while client.recv(4096):
                pass
        limpet.wait_log(gone, 2)
        with connect(limpet) as client:
            client.sendall(hello("no.test"))
            while client.recv(100):
                pass
        limpet.wait_log(r"\[info\] \S+ \S+ handshake rejected while SSL handshaking, client: 127")


def test_clients_that_say_nothing(certs):
    with start(certs, timeout="50ms") as limpet:
        with connect(limpet), socket.create_connection(("127.0.0.1", limpet.values["proxied"])):
            late = r"\[info\].*client timed out \(110: Connection timed out\) while "
            limpet.wait_log(late + "SSL handshaking, client: 127")
            limpet.wait_log(late + "reading PROXY protocol, client: 127")


def test_all_ciphers_of_the_client_are_told(certs):
    with start(certs) as limpet:
        tls = context()
        tls.maximum_version = ssl.TLSVersion.TLSv1_2
        tls.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
        with tls.wrap_socket(connect(limpet), server_hostname="on.test") as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b""
            while more := client.recv(4096):
                answer += more
        assert answer.endswith(b"ECDHE-ECDSA-AES128-GCM-SHA256:TLS_EMPTY_RENEGOTIATION_INFO_SCSV")


def test_a_hello_in_two_packets(certs):
    """Large ones take two; what the second begins with says nothing."""
    with start(certs) as limpet:
        for at in (1, 5, 40, 60, 100):
            come, go = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = context().wrap_bio(come, go, server_hostname="on.test")
            with pytest.raises(ssl.SSLWantReadError):
                tls.do_handshake()
            said = go.read()
            with connect(limpet) as client:
                client.sendall(said[:at])
                with context().wrap_socket(connect(limpet), server_hostname="on.test") as another:  # its worker has read that
                    assert another.version() == "TLSv1.3"
                client.sendall(said[at:])
                come.write(client.recv(65536))
                tls.do_handshake()
                assert tls.version() == "TLSv1.3"
