"""Raw requests: what the client is told, and what the upstream has seen, in limpet and, where it is installed, in nginx.

An outcome is `STATUS… [+] | METHOD TARGET [FIELDS] BODY | …`: the answers, whether the connection was kept, and each
request that a backend has read which takes nothing but the strictest form.
"""
import re

import pytest

import tables
import wire
from recorder import Recorder
from runner import Lane, Table, check_nginx
from waiting import wait_until

ROWS = tables.read("requests")
LANES = 6  # requests that run into a timeout do so side by side
PLACES = ("p", "streamed")
FLUSH = b"GET /flush HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

CONFIG = """
worker_processes 1;
events { worker_connections 256; }
http {
    access_log off;
    client_header_timeout 1s;
    client_body_timeout 1s;
    client_max_body_size 20k;
    keepalive_timeout 5s;
    proxy_read_timeout 5s;
    {servers}
}
"""
SERVER = """
    upstream up{number}{kind} { server 127.0.0.1:{backend}; keepalive 1; }
    server {
        listen {address}:{port} {listen};
        {more}
        location / { proxy_pass http://up{number}{kind}; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; }
        location /streamed {
            proxy_pass http://up{number}{kind};
            proxy_request_buffering off;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
        }
        location /socket {
            proxy_pass http://up{number}{kind};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $http_connection;
            proxy_set_header Host $host;
        }
        location /uri/ { proxy_pass http://up{number}{kind}/base/; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; }
        location /local { return 200 "$request_method $uri?$args"; }
        location /host { return 200 "$host"; }
        location /static { alias {dir}/static; }
        location = /end { add_header X-End yes; return 204; }
    }
"""
MORE = {
    "plain": ("", ""),
    "loose": ("", "ignore_invalid_headers off; underscores_in_headers on; merge_slashes off;"),
    "proxy": ("proxy_protocol", "set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol; "
                                "location = /address { return 200 $remote_addr; }"),
}
KINDS = list(MORE)


class Requests(Lane):
    """Servers at addresses of its own, one of each kind."""

    def __init__(self, number, port):
        super().__init__(number, port, Recorder())

    def address(self, kind):
        return f"127.0.{self.number}.{KINDS.index(kind) + 1}"

    def config(self):
        return "".join(self.fill_in(SERVER, kind=kind, address=self.address(kind), listen=listen, more=more)
                       for kind, (listen, more) in MORE.items())

    def run(self, row, place):
        """The row's outcome there."""
        self.backend.clear()
        kind = row.options.get("on", "plain")
        data = row.data.replace(b"PATH", b"/" + place.encode())
        told = wire.tell(self.exchange(kind, data + wire.END), data.startswith(b"HEAD "))
        # The same connection to the backend as before, if it was kept: what was left on it comes first.
        greeting = b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n" if kind == "proxy" else b""
        flushed = wire.tell(self.exchange(kind, greeting + FLUSH))
        wait_until(self.backend.is_idle, "what broke off to be seen")
        # How much of a request that breaks off was seen depends on what came when: it is not told, either.
        seen = [told_message(message, place) for message in self.backend.messages if message.whole]
        if flushed == "200" and "GET /flush" in seen:
            seen.remove("GET /flush")
        else:
            seen.append(f"THE NEXT REQUEST: {flushed}")
        text = " | ".join([told, *seen, *(f"LOOSE {text}" for text in self.backend.loose)])
        return text.replace(f" /{place}", " PATH") if place else text

    def exchange(self, kind, data):
        return wire.exchange(self.port, data, self.address(kind))


def told_message(message, place):
    """Whether a streamed body goes on with its length or in chunks depends on what has come when: it is not told."""
    lines = [line.decode("latin-1") for line in message.lines]
    fields = [re.sub(r"^Host: up\d\w+$", "Host: GROUP", line) for line in lines[1:]
              if line.lower() not in ("host: x", "connection: close")]
    if place == "streamed":
        fields = [line for line in fields if not re.match("(?i)(content-length|transfer-encoding):", line)]
    body = repr(message.body)[1:] if message.body and len(message.body) <= 60 else f"<{len(message.body)}>"
    words = [lines[0].removesuffix(" HTTP/1.1"), *([f"{fields}"] if fields else []),
             *([body] if message.body else [])]
    return " ".join(word if len(word) < 400 else f"{word[:40]}…<{len(word)}>" for word in words)


TABLE = Table(ROWS, places=lambda row: PLACES if b"PATH" in row.data else ("",), lane=Requests, lanes=LANES, config=CONFIG,
              files={"static": "0123456789" * 10})


@pytest.mark.parametrize("name,place", TABLE.cases)
def test_outcome(limpet, name, place):
    assert limpet[name, place] == ROWS[name].outcome(place)


@pytest.mark.parametrize("name,place", TABLE.cases)
def test_beside_nginx(nginx, name, place):
    check_nginx(ROWS[name], place, nginx[name, place])
