#!/usr/bin/python3
"""How the cost of a request and of a start grows with what is configured: locations, server names, servers of an upstream,
entries of a map. Instructions, counted by callgrind, so that a busy machine counts the same; beside nginx where installed.

`LIMPET_BINARY=… growth.py [options]`.
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
os.environ.setdefault("LIMPET_TEST_PATIENCE", "600")  # seconds: callgrind is slow, and so is a busy machine

from callgrind import Backend, counted, counting  # noqa: E402
from client import Connection  # noqa: E402
from daemon import BINARY, Limpet  # noqa: E402
from oracle import oracle  # noqa: E402

CONFIG = """
master_process off;
events { worker_connections 4096; }
http {
    access_log off;
    keepalive_requests 1000000;
    server_names_hash_max_size 65536;
    server_names_hash_bucket_size 128;
    map_hash_max_size 65536;
    map_hash_bucket_size 128;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    {http}
}
"""
FIRST = "listen {port}; location / { return 204; }"


def locations(n):
    """n prefixes; the last one is asked for."""
    many = "\n".join(f"location /part{i}/ {{ return 204; }}" for i in range(n))
    return f"server {{ listen {{port}}; {many} }}", f"/part{n - 1}/x", "localhost"


def exact_locations(n):
    many = "\n".join(f"location = /part{i} {{ return 204; }}" for i in range(n))
    return f"server {{ listen {{port}}; {many} }}", f"/part{n - 1}", "localhost"


def server_names(n):
    many = "\n".join(f"server {{ listen {{port}}; server_name host{i}.example; return 204; }}" for i in range(n))
    return many, "/", f"host{n - 1}.example"


def wildcard_names(n):
    many = "\n".join(f"server {{ listen {{port}}; server_name *.host{i}.example; return 204; }}" for i in range(n))
    return many, "/", f"www.host{n - 1}.example"


def map_entries(n):
    many = "\n".join(f"key{i} value{i};" for i in range(n))
    return f"map $arg_k $found {{ {many} }} server {{ {FIRST} location /map {{ return 200 $found; }} }}", f"/map?k=key{n - 1}", "localhost"


def upstream(n, method, address=lambda i: "127.0.0.1"):
    """n servers, all at one address if nothing else is said: what is measured is the choice, not new connections."""
    servers = " ".join(f"server {address(i)}:{{back}};" for i in range(n))
    return (f"upstream app {{ zone app 64m; {method} {servers} keepalive 8; }} server {{ {FIRST} location /app {{ proxy_pass http://app; }} }}",
            "/app", "localhost")


def own_address(i):
    """All lead to one backend; a key stays at one of them, and so does its connection."""
    return f"127.1.{i // 250}.{i % 250 + 1}"


CASES = {
    "locations": locations,
    "exact locations": exact_locations,
    "server names": server_names,
    "wildcard names": wildcard_names,
    "map entries": map_entries,
    "servers, round robin": lambda n: upstream(n, ""),
    "servers, least_conn": lambda n: upstream(n, "least_conn;"),
    "servers, ip_hash": lambda n: upstream(n, "ip_hash;", own_address),
    "servers, hash": lambda n: upstream(n, "hash $arg_k;", own_address),
    "servers, hash consistent": lambda n: upstream(n, "hash $arg_k consistent;", own_address),
}


class Everywhere(Backend):
    address = ""


class Counted(Limpet):
    """A binary under callgrind."""

    def __init__(self, binary, http, back):
        self.binary = binary
        super().__init__(CONFIG.replace("{http}", http), start=False, back=back)

    def command(self, *more):
        return counting(super().command(*more), self.counts)

    @property
    def counts(self):
        return self.path("callgrind.out")


def count(binary, what, requests, back):
    """Instructions from the start to the end."""
    http, path, host = what
    with Counted(binary, http, back) as server:
        server.start()
        with Connection(server.port) as connection:
            for _ in range(requests):
                answer = connection.request(path, host=host)
                assert answer.status in (200, 204), answer
        server.end()
        return counted(server.counts)


def options():
    parser = argparse.ArgumentParser(description="instructions of a request (and of start and end), by size")
    parser.add_argument("--nginx", metavar="BINARY", default=oracle(), help="the nginx in PATH if it is new enough")
    parser.add_argument("--sizes", metavar="N", type=int, nargs="+", default=[1, 100, 10000])
    parser.add_argument("--requests", metavar="N", type=int, default=300)
    parser.add_argument("--case", action="append", choices=CASES, help="only this one (again for others)")
    return parser.parse_args()


def main():
    chosen = options()
    binaries = {"limpet": BINARY, **({"nginx": chosen.nginx} if chosen.nginx else {})}
    print(f"{'instructions of a request / of start and end':46}", *(f"{size:>22}" for size in chosen.sizes))
    back = Everywhere()
    for case in chosen.case or CASES:
        for name, binary in binaries.items():
            figures = []
            for size in chosen.sizes:
                what = CASES[case](size)
                warm, more = (count(binary, what, times * chosen.requests, back.port) for times in (1, 2))
                request = (more - warm) / chosen.requests
                figures.append(f"{request:9.0f} /{(warm - request * chosen.requests) / 1e6:8.1f} M")
            print(f"{case:38}{name:8}", *(f"{figure:>22}" for figure in figures), flush=True)


main()
