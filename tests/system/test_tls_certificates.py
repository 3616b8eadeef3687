"""Certificates whose names have variables or are the text itself, and what a reload does with files."""
import os
import pathlib
import shutil
import socket
import ssl
import tempfile

import pytest

from certificates import Authority
from client import get
from daemon import Limpet
from ports import free_port

CONFIG = """
ssl_object_cache_inheritable {inheritable};
events { }
http {
    map $ssl_server_name $folder { default {certs}; nowhere.test /nowhere; }
    ssl_certificate_cache {cache};

    server {
        listen {port} ssl;
        ssl_certificate $folder/$ssl_server_name.crt;
        ssl_certificate_key $folder/$ssl_server_name.key;
        return 200 "to $ssl_server_name";
    }
    server { listen {port} ssl; server_name refused.test; ssl_reject_handshake on; ssl_certificate_cache off; }
    server {
        listen {fixed} ssl;
        ssl_certificate {certs}/one.test.crt;
        ssl_certificate_key {certs}/one.test.key;
    }
    server { listen {fixed} ssl; server_name borrows.test; return 200 borrowed; }
    server {
        listen {text} ssl;
        ssl_certificate "data:{pem}";
        ssl_certificate_key "data:{pem_key}";
        ssl_verify_client on;
        ssl_client_certificate {certs}/ca.crt;
        return 200 "upstream saw $ssl_client_s_dn";
    }
    server {
        listen {front};
        proxy_ssl_certificate {certs}/$arg_who.crt;
        proxy_ssl_certificate_key {certs}/$arg_who.key;
        proxy_ssl_certificate_cache max=10 valid=0;
        location / { proxy_pass https://app; }
        location /none { proxy_ssl_certificate $arg_nobody; proxy_pass https://app; }
        location /key { proxy_ssl_certificate_key {certs}/$arg_key.key; proxy_pass https://app; }
    }
    upstream app { server 127.0.0.1:{text}; keepalive 4; }
}
"""


@pytest.fixture
def certs():
    # pytest's own folder is not for others, and workers, who are somebody else, read these files.
    with tempfile.TemporaryDirectory(prefix="limpet-certs-") as folder:
        os.chmod(folder, 0o755)
        authority = Authority(folder)
        for name in ("one.test", "two.test"):
            for path in authority.issue(name):
                os.chmod(path, 0o644)
        yield pathlib.Path(folder)


def start(certs, inheritable="on", cache="max=10 valid=0"):
    pem, pem_key = ((certs / f"one.test.{end}").read_text() for end in ("crt", "key"))
    return Limpet(CONFIG, workers=1, certs=certs, inheritable=inheritable, cache=cache, pem=pem, pem_key=pem_key,
                  fixed=free_port(), text=free_port(), front=free_port())


def subject(certs, port, sni):
    """Of the certificate that a client is shown who asks for that name; None: the handshake fails."""
    tls = ssl.create_default_context(cafile=certs / "ca.crt")
    tls.check_hostname = False
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        try:
            with tls.wrap_socket(raw, server_hostname=sni) as connection:
                return dict(pair for pairs in connection.getpeercert()["subject"] for pair in pairs)["commonName"]
        except (ssl.SSLError, ConnectionError):
            return None


def replace(certs, name, by):
    """As a tool that renews certificates does it."""
    for end in ("crt", "key"):
        shutil.copy(certs / f"{by}.{end}", certs / "new")
        os.rename(certs / "new", certs / f"{name}.{end}")


def test_the_certificate_is_found_by_the_name_that_is_asked_for(certs):
    with start(certs) as limpet:
        assert subject(certs, limpet.port, "one.test") == "one.test"
        assert subject(certs, limpet.port, "two.test") == "two.test"
        assert subject(certs, limpet.port, "nobody.test") is None
        limpet.wait_log(r'\[error\].*cannot load certificate ".*/nobody.test.crt": open\(\) .* while SSL handshaking, client: 127')
        assert subject(certs, limpet.port, "refused.test") is None
        assert subject(certs, limpet.port, "two.test") == "two.test"


def test_a_name_that_would_lead_elsewhere_finds_none(certs):
    (certs / "sub").mkdir(mode=0o755)
    with start(certs) as limpet:
        for name in ("sub/../one.test", f"sub/../../{certs.name}/one.test"):
            assert subject(certs, limpet.port, name.encode()) is None
            assert get(limpet.values["front"], f"/?who={name}").status == 500
        assert len(limpet.log_lines(r"\[error\].*unsafe path \".*one.test.crt\" was detected, client: 127")) == 4
        assert get(limpet.values["front"], "/?who=one.test").text == "upstream saw CN=one.test"


@pytest.mark.parametrize("cache, seen", [("max=10 valid=60s", "one.test"), ("off", "two.test")])
def test_a_new_certificate_is_seen_without_a_reload(certs, cache, seen):
    with start(certs, cache=cache) as limpet:
        assert subject(certs, limpet.port, "one.test") == "one.test"
        replace(certs, "one.test", by="two.test")
        assert subject(certs, limpet.port, "one.test") == seen


def test_a_certificate_may_be_written_into_the_configuration(certs):
    with start(certs) as limpet:
        assert subject(certs, limpet.values["text"], "any.test") == "one.test"


def test_each_request_has_its_own_certificate_for_the_upstream(certs):
    with start(certs) as limpet:
        front = limpet.values["front"]
        for who in ("one.test", "two.test", "one.test"):  # over kept connections, too
            assert get(front, f"/?who={who}").text == f"upstream saw CN={who}"
        assert get(front, "/?who=nobody.test").status == 500
        limpet.wait_log(r'\[error\].*cannot load certificate ".*/nobody.test.crt".* while connecting to upstream')
        assert get(front, "/none").status == 400, "no certificate is shown"


def test_a_kept_connection_is_for_who_has_the_key_too(certs):
    with start(certs) as limpet:
        front = limpet.values["front"]
        assert get(front, "/key?who=one.test&key=one.test").text == "upstream saw CN=one.test"
        assert get(front, "/key?who=one.test&key=two.test").status == 500
        assert get(front, "/key?who=one.test&key=one.test").text == "upstream saw CN=one.test"


def test_a_server_without_a_certificate_has_the_default_servers(certs):
    with start(certs) as limpet:
        assert subject(certs, limpet.values["fixed"], "borrows.test") == "one.test"


@pytest.mark.parametrize("inheritable, seen", [("on", "one.test"), ("off", "two.test")])
def test_a_reload_reads_what_has_changed(certs, inheritable, seen):
    with start(certs, inheritable) as limpet:
        fixed = limpet.values["fixed"]
        # In place, with the time it had: nothing but its content tells.
        for end in ("crt", "key"):
            path = certs / f"one.test.{end}"
            time = path.stat().st_mtime
            path.write_bytes((certs / f"two.test.{end}").read_bytes())
            os.utime(path, (time, time))
        limpet.reload()
        assert subject(certs, fixed, "any.test") == seen
        replace(certs, "one.test", by="two.test")
        limpet.reload()
        assert subject(certs, fixed, "any.test") == "two.test"
