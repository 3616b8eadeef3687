#!/usr/bin/python3
"""Instructions of a request, counted by callgrind: the same on a busy machine as on an idle one.

One process, one client and its connection kept alive, requests one after another. N requests are counted, and 2N: the
difference is what N requests cost, without the start. `LIMPET_BINARY=… instructions.py [options]`.
"""
import argparse
import os
import shutil
import ssl
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
os.environ.setdefault("LIMPET_TEST_PATIENCE", "300")  # seconds: callgrind is slow, and so is a busy machine

from callgrind import BODY, Backend, counted, counting  # noqa: E402
from certificates import Authority  # noqa: E402
from client import Connection  # noqa: E402
from daemon import BINARY, Limpet  # noqa: E402
from oracle import oracle  # noqa: E402
from ports import free_port  # noqa: E402

SESSIONS = 50
CONFIG = """
master_process off;
events { }
http {
    access_log off;
    keepalive_requests 1000000;
    upstream small { zone small 256k; {servers} }
    upstream cookie { zone cookie 256k; {servers} sticky cookie id; }
    upstream learn { zone learn 256k; {servers} sticky learn create=$cookie_id lookup=$cookie_id zone=sessions:1m; }
    {signed}
    upstream hash { zone hash 256k; hash $cookie_id consistent; {servers} }
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    server {
        listen {port};
        listen {tls} ssl;
        ssl_certificate {dir}/localhost.crt;
        ssl_certificate_key {dir}/localhost.key;
        location /small { proxy_pass http://small; }
        location /tls { proxy_pass http://small; }
        location /cookie { proxy_pass http://cookie; }
        location /signed { proxy_pass http://{signed_to}; }
        location /learn { proxy_pass http://learn; }
        location /hash { proxy_pass http://hash; }
        location /file { root {dir}; }
    }
}
"""
SERVERS = "server 127.0.0.1:{a}; server 127.0.0.1:{b}; keepalive 8; keepalive_requests 1000000;"
SIGNED = "upstream signed { zone signed 256k; {servers} sticky cookie id sign={dir}/signing.keys; }"
CASES = ["small", "cookie", "signed", "learn", "hash", "file", "tls"]


class Counted(Limpet):
    """A binary under callgrind."""

    def __init__(self, binary, backends, case):
        self.binary = binary
        a, b = (backend.port for backend in backends)
        signs = case == "signed"  # what others do not know
        super().__init__(CONFIG, start=False, tls=free_port(), signed=SIGNED if signs else "",
                         signed_to="signed" if signs else "small", servers=SERVERS, a=a, b=b)
        self.write(BODY.decode(), "file")
        self.write("0123456789abcdef" * 2, "signing.keys")
        Authority(self.dir).issue("localhost")

    def command(self, *more):
        return counting(super().command(*more), self.counts)

    @property
    def counts(self):
        return self.path("callgrind.out")


class TlsConnection(Connection):
    def __init__(self, port):
        super().__init__(port)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)
        self.stream = self.socket.makefile("rb")


def ask(server, case, requests):
    """Sessions: of clients that take turns, or the one that the first answer gives."""
    with TlsConnection(server.values["tls"]) if case == "tls" else Connection(server.port) as connection:
        given = None
        for number in range(requests):
            session = f"{number % SESSIONS:032x}" if case in ("learn", "hash") else given
            answer = connection.request("/" + case, headers=[("Cookie", f"id={session}")] if session else [])
            assert (answer.status, answer.body) == (200, BODY), answer
            given = given or answer.cookie("id")


def count(binary, case, requests, backends, keep):
    """Instructions from the start to the end."""
    with Counted(binary, backends, case) as server:
        server.start()
        ask(server, case, requests)
        server.end()
        if keep:
            shutil.copy(server.counts, os.path.join(keep, f"{case}.{requests}.{os.path.basename(binary)}"))
        return counted(server.counts)


def per_request(*arguments, requests):
    once, twice = (count(*arguments[:2], times * requests, *arguments[2:]) for times in (1, 2))
    return (twice - once) / requests


def options():
    parser = argparse.ArgumentParser(description="instructions of a request, and their ratio to the first column's")
    parser.add_argument("--compare", metavar="BINARY", action="append", default=[], help="another limpet")
    parser.add_argument("--nginx", metavar="BINARY", default=oracle(), help="the nginx in PATH if it is new enough")
    parser.add_argument("--requests", metavar="N", type=int, default=2000)
    parser.add_argument("--case", action="append", choices=CASES, help="only this one (again for others)")
    parser.add_argument("--keep", metavar="DIRECTORY", help="for callgrind's files: see callgrind_annotate")
    return parser.parse_args()


def main():
    chosen = options()
    if chosen.keep:
        os.makedirs(chosen.keep, exist_ok=True)
    binaries = [BINARY, *chosen.compare, *([chosen.nginx] if chosen.nginx else [])]
    names = ["limpet", *chosen.compare, *(["nginx"] if chosen.nginx else [])]
    print(" " * 8, *(f"{name[-20:]:>20}" for name in names))
    backends = [Backend(), Backend()]
    for case in chosen.case or CASES:
        known = binaries[:1] if case == "signed" else binaries
        figures = [per_request(binary, case, backends, chosen.keep, requests=chosen.requests) for binary in known]
        print(f"{case:8}", *(f"{figure:12.0f} ({figure / figures[0]:5.3f})" for figure in figures), flush=True)


main()
