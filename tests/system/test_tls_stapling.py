"""The status of the server's certificate, sent along with the handshake: from a file, or from a responder that is asked."""
import base64
import os
import re
import subprocess
import urllib.parse

import pytest

from certificates import Authority
from daemon import Limpet
from origin import Reply
from waiting import wait_until

CONFIG = """
worker_processes 1;
events { }
http {
    server {
        listen {port} ssl;
        ssl_certificate {certs}/one.test.crt;
        ssl_certificate_key {certs}/one.test.key;
        ssl_trusted_certificate {certs}/ca.crt;
        ssl_stapling on;
        {more}
    }
}
"""
GOOD = "OCSP Response Status: successful"
NONE = "OCSP response: no response sent"


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certs")
    authority = Authority(folder)
    Authority(folder, "stranger")
    authority.issue("one.test")
    (folder / "index").write_text("")
    with open(folder / "revoked", "w") as index:
        serial = openssl(folder, "x509", "-in", "one.test.crt", "-noout", "-serial").strip().partition("=")[2]
        index.write(f"R\t491231235959Z\t200101000000Z\t{serial}\tunknown\t/CN=one.test\n")
    with open(folder / "valid", "w") as index:
        index.write(f"V\t491231235959Z\t\t{serial}\tunknown\t/CN=one.test\n")
    return folder


def openssl(folder, *arguments):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True, timeout=30, cwd=folder).stdout


def answer(certs, folder, request, index="valid", signer="ca"):
    """A response to a request, both DER."""
    (folder / "request").write_bytes(request)
    openssl(folder, "ocsp", "-index", str(certs / index), "-CA", str(certs / "ca.crt"), "-rsigner", str(certs / f"{signer}.crt"),
            "-rkey", str(certs / f"{signer}.key"), "-reqin", "request", "-respout", "response", "-ndays", "1")
    return (folder / "response").read_bytes()


def shown(limpet):
    """What a client says of the status that it is shown."""
    return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{limpet.port}", "-status"], input="",
                          capture_output=True, text=True, timeout=30).stdout


def test_a_response_in_a_file(certs, tmp_path):
    openssl(certs, "ocsp", "-issuer", "ca.crt", "-cert", "one.test.crt", "-no_nonce", "-reqout", str(tmp_path / "question"))
    answer(certs, tmp_path, (tmp_path / "question").read_bytes())
    with Limpet(CONFIG, certs=certs, more=f"ssl_stapling_file {tmp_path}/response;") as limpet:
        assert GOOD in shown(limpet)


@pytest.mark.parametrize("verify", ["on", "off"])
def test_a_responder_is_asked(certs, tmp_path, origins, verify):
    def respond(request):
        assert request.target.startswith("/status/")
        return Reply(answer(certs, tmp_path, base64.b64decode(urllib.parse.unquote(request.target[8:]))))

    responder, = origins("responder", respond=respond)
    more = f"ssl_stapling_responder http://127.0.0.1:{responder.port}/status; ssl_stapling_verify {verify};"
    with Limpet(CONFIG, certs=certs, more=more) as limpet:
        wait_until(lambda: GOOD in shown(limpet), "the answer")
        assert "Cert Status: good" in shown(limpet)
        request = responder.requests[0]
        assert (request.method, request.version, request.header("host")) == ("GET", "HTTP/1.0", "127.0.0.1")
        assert responder.hits == 1, "it is good for an hour"


@pytest.mark.parametrize("index, signer, verify, why", [
    ("revoked", "ca", "on", r'certificate status "revoked" in the OCSP response'),
    ("valid", "stranger", "on", r"OCSP_basic_verify\(\) failed \(SSL: "),
    ("index", "ca", "off", r'certificate status "unknown" in the OCSP response'),
])
def test_an_answer_that_is_not_good_is_not_sent(certs, tmp_path, origins, index, signer, verify, why):
    def respond(request):
        return Reply(answer(certs, tmp_path, base64.b64decode(urllib.parse.unquote(request.target[1:])), index, signer))

    responder, = origins("responder", respond=respond)
    more = f"ssl_stapling_responder http://127.0.0.1:{responder.port}; ssl_stapling_verify {verify};"
    with Limpet(CONFIG, certs=certs, more=more) as limpet:
        limpet.wait_log(rf'\[error\].*{why}.* while requesting certificate status, responder: 127.0.0.1, certificate: ".*/one.test.crt"')
        assert NONE in shown(limpet)


def test_a_responder_that_fails(certs, origins):
    responder, = origins("responder", respond=lambda request: Reply(status="503 Busy"))
    more = f"ssl_stapling_responder http://127.0.0.1:{responder.port};"
    with Limpet(CONFIG, certs=certs, more=more) as limpet:
        limpet.wait_log("OCSP responder answered 503 while requesting certificate status")
        assert NONE in shown(limpet)


def endless(line):
    def respond(_):
        yield b"HTTP/1.0 200 OK\r\n"
        while True:
            yield line * 100
    return respond


@pytest.mark.parametrize("respond, why", [
    (endless(b"X-More: more\r\n"), "sent too long a response"),
    (lambda _: endless(b"more")(None), "sent too long a response"),
    (lambda _: b"HTTP/1.0 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", r"d2i_OCSP_RESPONSE\(\) failed|invalid response"),
    (lambda _: b"HTTP/1.0 200 OK\r\n\r\n\x30\x84\xff\xff\xff\xff\x0a\x01\x00", r"d2i_OCSP_RESPONSE\(\) failed"),
    (lambda _: b"HTTP/1.0 200 OK\r\n\r\n" + bytes(range(256)) * 100, r"d2i_OCSP_RESPONSE\(\) failed"),
    (lambda _: b"HTTP/1.0 200 OK\r\n\r\n\x30\x03\x0a\x01\x03", r"OCSP response not successful \(3: trylater\)"),
    (lambda _: b"\0" * 3000, "invalid response"),
    (lambda _: b"", "prematurely closed connection"),
    (lambda _: b"HTTP/1.0 301 Moved\r\nLocation: http://127.0.0.1/elsewhere\r\n\r\n", "OCSP responder answered 301"),
    (lambda _: b"HTTP/1.1 100 Continue\r\n\r\n", "OCSP responder answered 100"),
], ids=["endless head", "endless body", "length", "size", "garbage", "later", "zeros", "nothing", "redirect", "interim"])
def test_a_responder_that_lies(certs, origins, respond, why):
    responder, = origins("responder", respond=lambda request: Reply(raw=respond(request), close=True))
    more = f"ssl_stapling_responder http://127.0.0.1:{responder.port};"
    with Limpet(CONFIG, certs=certs, more=more) as limpet:
        limpet.wait_log(rf"\[error\].*({why}).* while requesting certificate status")
        assert NONE in shown(limpet)
        assert responder.hits == 1 and len(limpet.workers()) == 1


def test_a_responder_that_never_answers_keeps_nobody_waiting(certs, origins, gate):
    responder, = origins("responder", respond=gate)
    with Limpet(CONFIG, certs=certs, more=f"ssl_stapling_responder http://127.0.0.1:{responder.port};") as limpet:
        assert gate.waiting.acquire(timeout=20)
        assert NONE in shown(limpet)
        limpet.reload()
        assert limpet.end() == 0, "nor the end"


def test_what_follows_an_answer_is_not_sent(certs, tmp_path, origins):
    """Nobody has signed it, and clients that are strict would refuse all of it."""
    def respond(request):
        return Reply(answer(certs, tmp_path, base64.b64decode(urllib.parse.unquote(request.target[1:]))) + b"\0more")

    responder, = origins("responder", respond=respond)
    with Limpet(CONFIG, certs=certs, more=f"ssl_stapling_responder http://127.0.0.1:{responder.port};") as limpet:
        wait_until(lambda: GOOD in shown(limpet), "the answer")
        message = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{limpet.port}", "-status", "-tls1_2", "-msg"],
                                 input="", capture_output=True, text=True, timeout=30).stdout
        status = re.search(r"CertificateStatus\n((?: +[0-9a-f ]+\n)+)", message)[1]
        assert bytes.fromhex("".join(status.split())).endswith((tmp_path / "response").read_bytes()[-20:])


def test_what_cannot_be_asked_is_a_warning(certs):
    with Limpet(CONFIG, certs=certs, more="", start=False) as limpet:
        result = limpet.run("-t")
        assert result.returncode == 0
        name = os.path.join(certs, "one.test.crt")
        assert f'[warn] "ssl_stapling" ignored, no OCSP responder URL in the certificate "{name}"' in result.stderr
