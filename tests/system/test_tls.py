"""TLS to clients: their certificates, the server a name stands for, sessions that are resumed; and to upstreams."""
import os
import re
import socket
import ssl

import pytest

from certificates import Authority
from client import get
from daemon import Limpet
from ports import free_port

CONFIG = """
events { }
http {
    ssl_certificate {certs}/on.test.crt;
    ssl_certificate_key {certs}/on.test.key;
    ssl_client_certificate {certs}/ca.crt;
    ssl_session_ticket_key {certs}/tickets.key;
    ssl_protocols SSLv2 SSLv3 TLSv1.2 TLSv1.3;
    proxy_ssl_protocols SSLv3 TLSv1.2 TLSv1.3;
    add_header X-Verify $ssl_client_verify;
    add_header X-Subject $ssl_client_s_dn;
    add_header X-Reused $ssl_session_reused;
    add_header X-Days $ssl_client_v_remain;

    server { listen {port} ssl; server_name plain.test; return 200 plain; }
    server { listen {port} ssl; server_name on.test; ssl_verify_client on; return 200 on; }
    server { listen {port} ssl; server_name as-on.test; ssl_verify_client on; return 200 as-on; }
    server { listen {port} ssl; server_name deep.test; ssl_verify_client on; ssl_verify_depth 2; return 200 deep; }
    server { listen {port} ssl; server_name optional.test; ssl_verify_client optional; return 200 optional; }
    server { listen {port} ssl; server_name noca.test; ssl_verify_client optional_no_ca; return 200 noca; }
    server {
        listen {port} ssl;
        server_name half.test;
        ssl_verify_client optional_no_ca;
        ssl_client_certificate {certs}/branch.crt;
        return 200 half;
    }
    server {
        listen {upstream} ssl;
        server_name on.test;
        ssl_verify_client on;
        return 200 "upstream saw $ssl_client_s_dn";
    }
    server {
        listen {front};
        proxy_ssl_certificate {certs}/known.test.crt;
        proxy_ssl_certificate_key {certs}/known.test.key;
        proxy_ssl_trusted_certificate {certs}/ca.crt;
        proxy_ssl_verify on;
        location /right { proxy_ssl_name on.test; proxy_pass https://127.0.0.1:{upstream}; }
        location /wrong { proxy_ssl_name other.test; proxy_pass https://127.0.0.1:{upstream}; }
    }
}
"""


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certs")
    os.chmod(folder, 0o755)
    authority, stranger = Authority(folder), Authority(folder, "stranger")
    authority.issue("on.test")
    authority.issue("known.test")
    stranger.issue("unknown.test")
    authority.delegate("branch").issue("branch.test")
    with open(folder / "tickets.key", "wb") as keys:
        keys.write(os.urandom(80))
    return folder


@pytest.fixture
def limpet(certs):
    with Limpet(CONFIG, workers=2, certs=certs, upstream=free_port(), front=free_port()) as limpet:
        yield limpet


def context(certs, certificate=None):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    if certificate:
        made.load_cert_chain(certs / f"{certificate}.crt", certs / f"{certificate}.key")
    return made


def ask(limpet, tls, sni, host=None, session=None):
    """The response as text, and the session to resume."""
    raw = socket.create_connection(("127.0.0.1", limpet.port), timeout=10)
    with tls.wrap_socket(raw, server_hostname=sni, session=session) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {host or sni}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer.decode(), connection.session


@pytest.mark.parametrize("server, certificate, status, verify", [
    ("plain.test", None, 200, "NONE"),
    ("plain.test", "known.test", 200, "NONE"),
    ("on.test", "known.test", 200, "SUCCESS"),
    ("on.test", None, 400, None),
    ("on.test", "unknown.test", 400, None),
    ("optional.test", None, 200, "NONE"),
    ("optional.test", "known.test", 200, "SUCCESS"),
    ("optional.test", "unknown.test", 400, None),
    ("noca.test", "unknown.test", 200, "FAILED:unable to verify the first certificate"),
    ("noca.test", None, 200, "NONE"),
    ("half.test", "branch.test", 400, None),  # the issuer is known, but not the issuer's
])
def test_client_certificates(limpet, certs, server, certificate, status, verify):
    answer, _ = ask(limpet, context(certs, certificate), server)
    assert answer.startswith(f"HTTP/1.1 {status} ")
    if verify:
        assert f"X-Verify: {verify}\r\n" in answer
    if verify == "SUCCESS":
        assert f"X-Subject: CN={certificate}\r\n" in answer
        assert re.search("X-Days: [12]\r\n", answer)


def test_the_error_page_says_what_is_missing(limpet, certs):
    assert "No required SSL certificate was sent" in ask(limpet, context(certs), "on.test")[0]
    assert "The SSL certificate error" in ask(limpet, context(certs, "unknown.test"), "on.test")[0]
    limpet.wait_log(r"client sent no required SSL certificate while reading client request headers, client: 127")
    limpet.wait_log(r"client SSL certificate verify error: \(\d+:.*\) while reading client request headers, client: 127")


def test_a_verifying_server_is_not_reached_by_another_servers_name(limpet, certs):
    answer, _ = ask(limpet, context(certs), "plain.test", host="on.test")
    assert answer.startswith("HTTP/1.1 421 ")
    assert ask(limpet, context(certs), "plain.test", host="nobody.test")[0].startswith("HTTP/1.1 200 ")


def test_sessions_are_resumed_by_every_worker_and_after_a_restart(limpet, certs):
    tls = context(certs, "known.test")
    first, session = ask(limpet, tls, "on.test")
    assert "X-Reused: .\r\n" in first
    for _ in range(6):  # two workers
        answer, session = ask(limpet, tls, "on.test", session=session)
        assert "X-Reused: r\r\n" in answer and "X-Verify: SUCCESS\r\n" in answer
    limpet.end()
    limpet.start()
    assert "X-Reused: r\r\n" in ask(limpet, tls, "on.test", session=session)[0]


def test_a_session_of_one_server_does_not_open_another(limpet, certs):
    tls = context(certs)
    _, session = ask(limpet, tls, "plain.test")
    answer, _ = ask(limpet, tls, "on.test", session=session)
    assert answer.startswith("HTTP/1.1 400 ")


def test_a_resumed_connection_is_to_whom_its_hello_asks_for(limpet, certs):
    """TLS 1.2: two servers ask the same of clients, and a session of one is shown to the other."""
    tls = context(certs, "known.test")
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    _, session = ask(limpet, tls, "on.test")
    answer, _ = ask(limpet, tls, "as-on.test", session=session)
    assert answer.startswith("HTTP/1.1 200 ") and "X-Reused: r\r\n" in answer
    answer, _ = ask(limpet, tls, "deep.test", session=session)
    assert answer.startswith("HTTP/1.1 200 ") and "X-Reused: .\r\n" in answer, "it looks at certificates in another way"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
@pytest.mark.parametrize("pieces", [1, 3, 700], ids=["at once", "in threes", "by the byte"])
def test_what_comes_with_the_end_of_a_handshake_is_read(limpet, certs, version, pieces):
    """The handshake's last words and a record for each of three requests, in one packet or in many."""
    with_context = context(certs)
    with_context.minimum_version = with_context.maximum_version = version
    come, go = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = with_context.wrap_bio(come, go, server_hostname="plain.test")
    with socket.create_connection(("127.0.0.1", limpet.port), timeout=20) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                plain.sendall(go.read())
                come.write(plain.recv(65536))
        for path in ("/one", "/two", "/three"):
            last = "Connection: close\r\n" if path == "/three" else ""
            tls.write(f"GET {path} HTTP/1.1\r\nHost: plain.test\r\n{last}\r\n".encode())
        bytes_left = go.read()
        size = -(-len(bytes_left) // pieces)
        for begin in range(0, len(bytes_left), size):
            plain.sendall(bytes_left[begin:begin + size])
        answers = b""
        while True:
            try:
                data = tls.read(65536)
            except ssl.SSLWantReadError:
                come.write(plain.recv(65536))
                continue
            if not data:  # its close_notify
                break
            answers += data
    assert answers.count(b"HTTP/1.1 200") == 3, answers


def test_upstreams_are_verified_and_see_our_certificate(limpet):
    right = get(limpet.values["front"], "/right")
    assert right.status == 200 and right.body == b"upstream saw CN=known.test"
    assert get(limpet.values["front"], "/wrong").status == 502
    limpet.wait_log(r'upstream SSL certificate does not match "other.test"')
