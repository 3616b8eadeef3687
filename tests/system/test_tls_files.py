"""Files of TLS that are of the wrong kind: the configuration is refused, or one handshake fails; no process dies."""
import os
import pathlib
import re
import signal
import socket
import ssl
import tempfile

import pytest

from certificates import Authority
from client import get
from daemon import Limpet
from ports import free_port

SERVERS = """
events { }
http {
    limit_req_zone $uri zone=limits:1m rate=1r/s;
    server {
        listen {port} ssl;
        ssl_certificate {certs}/one.test.crt;
        ssl_certificate_key {certs}/one.test.key;
        {more}
        return 200 one;
    }
    server {
        listen {varying} ssl;
        ssl_certificate {certs}/$ssl_server_name;
        ssl_certificate_key {certs}/one.test.key;
        return 200 varying;
    }
    server {
        listen {front};
        proxy_ssl_certificate {certs}/$arg_c;
        proxy_ssl_certificate_key {certs}/one.test.key;
        location / { proxy_pass https://127.0.0.1:{port}; }
    }
}
"""


@pytest.fixture(scope="module")
def certs():
    # pytest's own folder is not for others, and workers, who are somebody else, read these files.
    with tempfile.TemporaryDirectory(prefix="limpet-certs-") as folder:
        os.chmod(folder, 0o755)
        for path in Authority(folder).issue("one.test"):
            os.chmod(path, 0o644)
        yield pathlib.Path(folder)


def config_of(certs, more=""):
    return Limpet(SERVERS, workers=1, start=False, certs=certs, more=more, varying=free_port(), front=free_port())


def fails_to_connect(port, sni=None):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        try:
            tls.wrap_socket(raw, server_hostname=sni).close()
        except (ssl.SSLError, ConnectionError):
            return True
    return False


@pytest.mark.parametrize("directive, says, line", [
    ("ssl_ciphers NONE", 'set_cipher_list("NONE") failed', 9),
    ("ssl_ecdh_curve none", 'set1_curves_list("none") failed', 9),
    ("ssl_conf_command None 1", 'SSL_CONF_cmd("None", "1") failed', 9),
    ("ssl_conf_command Options PrioritizeChaCha;\nssl_conf_command Options None", 'SSL_CONF_cmd("Options", "None") failed', 10),
    ("ssl_verify_client on", "no ssl_client_certificate", 5)])
def test_an_error_of_openssl_names_a_line(certs, directive, says, line):
    with config_of(certs, directive + ";") as limpet:
        tried = limpet.run("-t")
        assert tried.returncode == 1, tried
        assert re.search(rf"\[emerg\] .*{re.escape(says)}.* in {limpet.path('limpet.conf')}:{line}$", tried.stderr, re.M), tried


@pytest.mark.parametrize("directive, says, line", [
    ("proxy_ssl_ciphers NONE", 'set_cipher_list("NONE") failed', 19),
    ("proxy_ssl_conf_command None 1", 'SSL_CONF_cmd("None", "1") failed', 19),
    ("proxy_ssl_verify on", "no proxy_ssl_trusted_certificate", 18)])
def test_so_does_one_of_tls_to_upstreams(certs, directive, says, line):
    with config_of(certs) as limpet:
        limpet.write(SERVERS.replace("listen {front};", f"listen {{front}}; {directive};"))
        tried = limpet.run("-t")
        assert tried.returncode == 1, tried
        assert re.search(rf"\[emerg\] .*{re.escape(says)}.* in {limpet.path('limpet.conf')}:{line}$", tried.stderr, re.M), tried


@pytest.mark.parametrize("directive", [
    "ssl_trusted_certificate {certs}", "ssl_client_certificate {certs}; ssl_verify_client on", "ssl_crl {certs}",
    "ssl_dhparam {certs}", "ssl_password_file {certs}", "ssl_session_ticket_key {certs}"])
def test_a_folder_is_no_file(certs, directive):
    with config_of(certs, directive.replace("{certs}", str(certs)) + ";") as limpet:
        tried = limpet.run("-t")
        assert tried.returncode == 1, tried
        assert f'"{certs}" failed (21: Is a directory)' in tried.stderr


def answers_of(certs, more):
    with config_of(certs, more.replace("{certs}", str(certs))) as limpet:
        tried = limpet.run("-t")
        return tried.returncode, tried.stderr


@pytest.mark.parametrize("directive, why", [
    ("ssl_trusted_certificate {certs}/one.test.key", "there is no certificate in it"),
    ("ssl_verify_client on; ssl_client_certificate {certs}/one.test.key", "there is no certificate in it"),
    ("ssl_crl {certs}/ca.crt", "there is no CRL in it"), ('ssl_ciphers ""', 'SSL_CTX_set_cipher_list("") failed'),
    ("ssl_session_cache builtin:x", 'invalid session cache "builtin:x"'),
    ("ssl_session_cache builtin:", 'invalid session cache "builtin:"'), ("ssl_ocsp_cache foo", 'invalid OCSP cache "foo"'),
    ("ssl_ocsp_cache shared:a:1k", 'OCSP cache "shared:a:1k" is too small'),
    ("ssl_session_cache shared:limits:1m", 'zone "limits" is already declared for a different use')])
def test_what_is_refused(certs, directive, why):
    status, said = answers_of(certs, directive + ";")
    assert status == 1 and why in said, said


@pytest.mark.parametrize("directive, why", [
    ("ssl_certificate {certs}/nowhere", 'nowhere" failed (2: No such file or directory)'),
    ("ssl_certificate_key {certs}/ca.crt", "ca.crt"), ("ssl_dhparam {certs}/nowhere", "nowhere"),
    ("ssl_ciphers NONE", 'set_cipher_list("NONE") failed')])
def test_who_asks_for_a_reload_is_told_of_files_that_are_not_there(certs, directive, why):
    with config_of(certs, "") as limpet:
        limpet.start()
        without = re.sub(rf" {directive.split()[0]} [^;]*;", "", SERVERS, count=1)
        limpet.write(without.replace("{more}", directive + ";"))
        asked = limpet.run("-s", "reload")
        assert asked.returncode == 1 and "[emerg]" in asked.stderr and why in asked.stderr, asked
        assert not limpet.log_lines("reconfiguring"), "the master has not been told"
        limpet.write(SERVERS.replace("{more}", ""))
        assert limpet.run("-s", "reload").returncode == 0
        limpet.wait_log("reconfiguring")


@pytest.mark.parametrize("directive", [
    "ssl_client_certificate /nowhere", "ssl_session_cache builtin:100 shared:mine:1m", "ssl_ocsp_cache shared:a:1m",
    "ssl_ocsp_cache off"])
def test_what_is_accepted(certs, directive):
    status, said = answers_of(certs, directive + ";")
    assert status == 0, said


def test_a_responder_that_cannot_be_asked_is_a_warning(certs):
    status, said = answers_of(certs, "ssl_stapling on; ssl_stapling_responder https://a.test; ssl_trusted_certificate {certs}/ca.crt;")
    assert status == 0 and '"ssl_stapling" ignored, invalid URL prefix in OCSP responder "https://a.test"' in said, said


def test_a_reload_with_a_folder_is_refused(certs):
    with config_of(certs) as limpet:
        limpet.start()
        limpet.values["more"] = f"ssl_trusted_certificate {certs};"
        limpet.write(SERVERS)
        limpet.kill(signal.SIGHUP)
        limpet.wait_log(r"\[emerg\].*Is a directory")
        assert get(limpet.values["front"], "/?c=one.test.crt").text == "one"


def test_a_folder_in_a_handshake_fails_that_handshake(certs):
    with config_of(certs) as limpet:
        limpet.start()
        workers = limpet.workers()
        assert fails_to_connect(limpet.values["varying"])
        assert get(limpet.values["front"], "/").status == 500
        limpet.wait_log(r"\[error\].*cannot load certificate .*Is a directory", count=2)
        assert not fails_to_connect(limpet.values["varying"], "one.test.crt")
        assert limpet.workers() == workers
