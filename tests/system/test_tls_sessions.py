"""TLS sessions in the memory of all workers, tickets over a reload and a change of the binary, early data."""
import socket
import ssl
import subprocess

import pytest

from binaries import Binaries
from certificates import Authority, folder_with
from daemon import Limpet
from ports import free_port
from waiting import wait_until

CONFIG = """
worker_processes 3;
events { }
http {
    ssl_certificate {certs}/one.test.crt;
    ssl_certificate_key {certs}/one.test.key;
    add_header X-Reused $ssl_session_reused;
    add_header X-Pid $pid;
    add_header X-Early "$ssl_early_data.";

    server {
        listen {port} ssl;
        ssl_session_cache {cache};
        ssl_session_tickets {tickets};
        ssl_early_data on;
        location / { return 200 "$request_method $uri"; }
        location /body { proxy_pass http://127.0.0.1:{echo}; }
    }
    server { listen {echo}; location / { return 200 $request_body; } }
}
"""


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return folder_with(tmp_path_factory, "one.test")


def start(certs, cache="shared:SSL:64k", tickets="off"):
    return Limpet(CONFIG, certs=certs, cache=cache, tickets=tickets, echo=free_port())


def context(version):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.minimum_version = made.maximum_version = version
    return made


def ask(limpet, tls, session=None):
    """Whether the session was resumed, by which worker, and the session to resume."""
    raw = socket.create_connection(("127.0.0.1", limpet.port), timeout=10)
    with tls.wrap_socket(raw, session=session) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while part := connection.recv(65536):
            answer += part
        fields = dict(line.split(": ", 1) for line in answer.decode().split("\r\n\r\n")[0].split("\r\n")[1:])
        return fields["X-Reused"] == "r", fields["X-Pid"], connection.session


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_worker_resumes_what_another_began(certs, version):
    with start(certs) as limpet:
        tls = context(version)
        _, began, session = ask(limpet, tls)
        resumed_by = set()

        def elsewhere():
            nonlocal session
            reused, pid, session = ask(limpet, tls, session)
            assert reused
            resumed_by.add(pid)
            return resumed_by - {began}

        wait_until(elsewhere, "another worker to take a connection")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("tickets", ["on", "off"])
def test_sessions_outlive_a_reload(certs, version, tickets):
    with start(certs, tickets=tickets) as limpet:
        tls = context(version)
        session = ask(limpet, tls)[2]
        limpet.reload()
        assert ask(limpet, tls, session)[0]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("tickets", ["on", "off"])
def test_sessions_outlive_a_change_of_the_binary(certs, version, tickets):
    with Binaries(start(certs, tickets=tickets), workers=3) as both:
        tls = context(version)
        session = ask(both.limpet, tls)[2]
        both.upgrade()
        both.end_old()
        assert ask(both.limpet, tls, session)[0]


REVOKING = """
events { }
http {
    ssl_certificate {certs}/one.test.crt;
    ssl_certificate_key {certs}/one.test.key;
    ssl_session_cache shared:SSL:64k;
    ssl_verify_client optional;
    ssl_client_certificate {certs}/ca.crt;
    ssl_crl {certs}/revoked.pem;
    add_header X-Reused $ssl_session_reused;
    add_header X-Pid $ssl_client_verify;  # what ask() tells
    error_page 495 =200 /;
    server { listen {port} ssl; location / { return 200 ""; } }
}
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_who_is_revoked_does_not_come_back_by_a_session(tmp_path, version):
    tmp_path.chmod(0o755)
    authority = Authority(tmp_path)
    authority.issue("one.test")
    authority.issue("client")
    authority.revoke()
    tls = context(version)
    tls.load_cert_chain(tmp_path / "client.crt", tmp_path / "client.key")
    with Limpet(REVOKING, workers=1, certs=tmp_path) as limpet:
        assert ask(limpet, tls)[:2] == (False, "SUCCESS")
        session = ask(limpet, tls)[2]
        limpet.reload()
        reused, verdict, session = ask(limpet, tls, session)
        assert (reused, verdict) == (True, "SUCCESS")
        authority.revoke("client")
        limpet.reload()
        assert ask(limpet, tls, session)[:2] == (False, "FAILED:certificate revoked")


@pytest.mark.parametrize("cache", ["none", "off"])
def test_without_tickets_and_cache_nothing_is_resumed(certs, cache):
    with start(certs, cache=cache) as limpet:
        tls = context(ssl.TLSVersion.TLSv1_2)
        session = ask(limpet, tls)[2]
        assert not session or not ask(limpet, tls, session)[0]


def s_client(limpet, tmp_path, *arguments, request="GET / HTTP/1.0\r\n\r\n"):
    """The output of openssl's client, which waits until the server has said everything."""
    return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{limpet.port}", "-ign_eof", *arguments],
                          input=request, capture_output=True, text=True, timeout=30, cwd=tmp_path).stdout


@pytest.mark.parametrize("tickets", ["on", "off"])
def test_a_request_in_early_data_is_answered_and_told_apart(certs, tmp_path, tickets):
    with start(certs, tickets=tickets) as limpet:
        first = s_client(limpet, tmp_path, "-sess_out", "session")
        assert "X-Early: .\r" in first.replace("\n", "\r") and "Max Early Data: 16384" in first
        (tmp_path / "early").write_bytes(b"GET /early HTTP/1.0\r\n\r\n")
        early = s_client(limpet, tmp_path, "-sess_in", "session", "-early_data", "early", request="")
        assert "Early data was accepted" in early
        assert "X-Early: 1." in early and "X-Reused: r" in early and "GET /early" in early


def test_a_body_that_is_partly_early_is_whole(certs, tmp_path):
    with start(certs) as limpet:
        s_client(limpet, tmp_path, "-sess_out", "session")
        body = "early " * 1000 + "late " * 1000
        head = f"POST /body HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n"
        (tmp_path / "early").write_text(head + body[:6000], newline="")
        answer = s_client(limpet, tmp_path, "-sess_in", "session", "-early_data", "early", request=body[6000:])
        assert "Early data was accepted" in answer
        assert "X-Early: ." in answer or "X-Early: 1." in answer
        assert "HTTP/1.1 200" in answer


@pytest.mark.parametrize("line, message", [
    ("ssl_session_cache shared:SSL:128k;", r'the size 131072 of shared memory zone "SSL" conflicts with already declared size 65536'),
    ("ssl_session_cache shared:T:1k;", r'session cache "shared:T:1k" is too small: it is at least 32k'),
    ("ssl_certificate_cache valid=1s;", r'"ssl_certificate_cache" must have the "max" parameter'),
    ("ssl_certificate_cache max=0;", r'invalid parameter "max=0": ssl_certificate_cache takes off | max=N [inactive=10s] [valid=60s]'),
    ("ssl_certificate_key engine:pkcs11:k;", r'loading "engine:..." certificate keys is not supported'),
    ("ssl_ocsp on;", r'"ssl_ocsp" is not supported on this platform: write ssl_crl instead'),
])
def test_what_is_wrong_is_said(certs, line, message):
    config = CONFIG.replace("listen {echo};", "listen {echo}; " + line)
    with Limpet(config, certs=certs, cache="shared:SSL:64k", tickets="on", echo=free_port(), start=False) as limpet:
        result = limpet.run("-t")
        assert result.returncode == 1
        assert f"[emerg] {message} in {limpet.path('limpet.conf')}:" in result.stderr
