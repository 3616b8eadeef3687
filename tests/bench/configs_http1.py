"""Configurations for HTTP/1: limpet's, nginx's and HAProxy's of the same work, and the bare relay's.

Paths: /learn0, /learn1 … have zones of their own for so many sessions each; /cookie, /hash, /hold, which nobody answers, and /,
which has no session. TLS is as each is configured by itself: tickets, and HAProxy's cache of sessions.
"""
from dataclasses import dataclass

from peers import HELD, Places

KEPT = 2048  # upstream connections: all that 2,000 clients can use at a time
BACKS = [f"127.0.0.{number}" for number in (1, 2, 3)]
BYTES = {"limpet": 34, "nginx": 288}  # of a session, and some


@dataclass
class Work(Places):
    sessions: tuple = ()  # of each zone
    kind: str = ""
    clients: int = 2000  # connections to it


def like_nginx(at, more=""):
    servers = " ".join(f"server {address}:{at.back};" for address in BACKS)
    upstreams = {"small": "", "cookie": "sticky cookie route;", "hash": "hash $cookie_sid consistent;",
                 **{f"learn{i}": f"sticky learn create=$cookie_sid lookup=$cookie_sid zone=sessions{i}:{(n * BYTES[at.kind] >> 20) + 2}m timeout=10h;"
                    for i, n in enumerate(at.sessions)}}
    blocks = "\n    ".join(
        f"upstream {name} {{ zone {name} 256k; {'' if 'sticky' in method else method} {servers} {method if 'sticky' in method else ''} "
        f"keepalive {KEPT}; keepalive_requests 1000000000; }}" for name, method in upstreams.items())
    held = "\n    ".join(f"upstream {name} {{ zone {name} 256k; server {address}:{at.hold}; }}" for name, address in HELD.items())
    locations = "\n        ".join(f"location /{name} {{ proxy_pass http://{name}; }}" for name in [*upstreams, *HELD])
    return f"""
daemon off;
worker_processes 1;
pid {at.dir}/nginx.pid;
error_log {at.dir}/nginx.log error;
events {{ worker_connections {at.connections}; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    proxy_read_timeout 600s;
    {blocks}
    {held}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    server {{
        listen 127.0.0.1:{at.plain} backlog=4096;
        listen 127.0.0.1:{at.tls} ssl backlog=4096;
        ssl_certificate {at.dir}/cert.pem;
        ssl_certificate_key {at.dir}/key.pem;
        location / {{ proxy_pass http://small; }}
        {locations}
        {more}
    }}
}}
"""


def limpet(at):
    return like_nginx(at, "location /status/ { api /status/; }")


def haproxy(at):
    methods = {"small": "balance roundrobin", "cookie": "balance roundrobin\n    cookie route insert indirect",
               "hash": "balance hash req.cook(sid)\n    hash-type consistent",
               **{f"learn{i}": f"balance roundrobin\n    stick-table type string len 32 size {n + n // 16} expire 10h\n    stick on cookie(sid)"
                  for i, n in enumerate(at.sessions)}}
    servers = "\n    ".join(f"server back{i} {address}:{at.back} cookie back{i}" for i, address in enumerate(BACKS))
    backends = "\n".join(f"backend {name}\n    {method}\n    {servers}" for name, method in methods.items())
    held = "\n".join(f"backend {name}\n    server {name} {address}:{at.hold}" for name, address in HELD.items())
    rules = "\n    ".join(f"use_backend {name} if {{ path /{name} }}" for name in [*methods, *HELD] if name != "small")
    return f"""
global
    nbthread 1
    no strict-limits
    maxconn {at.clients + 100}
defaults
    mode http
    timeout connect 60s
    timeout client 600s
    timeout server 600s
    http-reuse always
frontend front
    bind 127.0.0.1:{at.plain} backlog 4096
    bind 127.0.0.1:{at.tls} ssl crt {at.dir}/both.pem backlog 4096
    {rules}
    default_backend small
{backends}
{held}
"""


def relay(at):
    return f"{at.plain} {at.back}\n"


CONFIGS = {"limpet": limpet, "nginx": like_nginx, "haproxy": haproxy, "relay": relay}
