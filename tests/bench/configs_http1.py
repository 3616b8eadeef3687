"""Configurations for HTTP/1: limpet's, nginx's and HAProxy's of the same work, and the bare relay's.

Paths: /learn0, /learn1 … have zones of their own for so many sessions each; /cookie, /hash, /hold, which nobody answers, and /,
which has no session. TLS is as each is configured by itself: tickets, and HAProxy's cache of sessions.
"""
from dataclasses import dataclass

from peers import Places, like_haproxy, like_nginx

KEPT = 2048  # upstream connections: all that 2,000 clients can use at a time
BACKS = [f"127.0.0.{number}" for number in (1, 2, 3)]
BYTES = {"limpet": 34, "nginx": 288}  # of a session, and some


@dataclass
class Work(Places):
    sessions: tuple = ()  # of each zone
    kind: str = ""
    clients: int = 2000  # connections to it


def nginx(at, more=()):
    upstreams = {"small": "", "cookie": "sticky cookie route;", "hash": "hash $cookie_sid consistent;",
                 **{f"learn{i}": f"sticky learn create=$cookie_sid lookup=$cookie_sid zone=sessions{i}:{(n * BYTES[at.kind] >> 20) + 2}m timeout=10h;"
                    for i, n in enumerate(at.sessions)}}
    servers = " ".join(f"server {address}:{at.back};" for address in BACKS)
    blocks = [f"upstream {name} {{ zone {name} 256k; {'' if 'sticky' in method else method} {servers} {method if 'sticky' in method else ''} "
              f"keepalive {KEPT}; keepalive_requests 1000000000; }}" for name, method in upstreams.items()]
    return like_nginx(at, blocks, "small", upstreams, more, timeout="600s")


def limpet(at):
    return nginx(at, ["location /status/ { api /status/; }"])


def haproxy(at):
    methods = {"small": "balance roundrobin", "cookie": "balance roundrobin\n    cookie route insert indirect",
               "hash": "balance hash req.cook(sid)\n    hash-type consistent",
               **{f"learn{i}": f"balance roundrobin\n    stick-table type string len 32 size {n + n // 16} expire 10h\n    stick on cookie(sid)"
                  for i, n in enumerate(at.sessions)}}
    servers = "\n    ".join(f"server back{i} {address}:{at.back} cookie back{i}" for i, address in enumerate(BACKS))
    backends = {name: f"{method}\n    {servers}" for name, method in methods.items()}
    return like_haproxy(at, at.clients + 100, backends, "small", more="no strict-limits")


def relay(at):
    return f"{at.plain} {at.back}\n"


CONFIGS = {"limpet": limpet, "nginx": nginx, "haproxy": haproxy, "relay": relay}
