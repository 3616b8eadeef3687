"""Checks that includes run downward only, and that each library is included in its home alone.

Usage: check_layers.py ROOT. Prints what is wrong, one line each; exit status 1 if anything is.
"""
import os
import re
import sys

# From the bottom up. A folder may include itself and the folders it names.
MAY_INCLUDE = {
    "base": [],
    "proto": ["base"],
    "shm": ["base"],
    "conf": ["base", "proto"],
    "worker/net": ["base", "proto", "shm", "conf"],
    "worker/tls": ["base", "proto", "shm", "conf", "worker/net"],
    "worker/geo": ["base", "shm", "conf", "worker/net"],
    "worker/token": ["base", "shm", "conf"],
    "worker/upstream": ["base", "proto", "shm", "conf", "worker/net", "worker/tls"],
    "worker/store": ["base", "proto", "shm", "conf", "worker/net", "worker/tls", "worker/upstream"],
    "worker/sticky": ["base", "proto", "shm", "conf", "worker/net", "worker/tls", "worker/upstream", "worker/store"],
    "worker/rebalance": ["base", "shm", "conf", "worker/net", "worker/upstream", "worker/store"],
    "worker/health": ["base", "proto", "shm", "conf", "worker/net", "worker/tls", "worker/upstream", "worker/rebalance"],
    "worker/status": ["base", "proto", "shm", "conf", "worker/net", "worker/tls", "worker/upstream", "worker/sticky",
                      "worker/rebalance"],
    "worker/http": ["base", "proto", "shm", "conf", "worker/net", "worker/tls", "worker/geo", "worker/token",
                    "worker/upstream", "worker/store", "worker/sticky", "worker/status"],
    "worker": ["base", "proto", "shm", "conf", "worker/net", "worker/tls", "worker/geo", "worker/token", "worker/upstream",
               "worker/store", "worker/sticky", "worker/rebalance", "worker/status", "worker/health", "worker/http"],
    "master": ["base", "shm", "conf"],
}
# worker/http's rooms, in the same way. What is in none of them (the tables of steps and filters) knows all.
ROOMS = {
    "exchange": [],
    "route": ["exchange"],
    "filter": ["exchange"],
    "log": ["exchange"],
    "access": ["exchange", "route"],
    "local": ["exchange", "route", "filter", "log"],
    "variables": ["exchange", "access", "filter"],
    "proxy": ["exchange", "route", "filter", "log"],
    "client": ["exchange", "route", "filter", "log"],
}
# Includes that break the order of rooms. This list may shrink and never grow: one that is not needed is an error, too.
ROOM_EXCEPTIONS = {
    ("exchange/exchange.cc", "proxy/proxy_exchange.h"): "an exchange owns its upstream side",
    ("exchange/exchange_start.cc", "route/server_names.h"): "a request's host names its server before there are steps",
    ("exchange/runtime.h", "proxy/proxy_plan.h"): "a worker's plans of proxying locations",
    ("exchange/runtime.h", "proxy/url_groups.h"): "a worker's groups of proxy_pass with variables",
    ("local/status_content.cc", "proxy/explain.h"): "the status API rehearses the choice of a server",
    ("local/status_content.cc", "proxy/upstream_runtime.h"): "the status API shows upstreams at work",
    ("variables/variables_upstream.cc", "proxy/proxy_exchange.h"): "$upstream_*, $proxy_* and $sticky_*",
}
# What the master knows of the workers: what it runs in a child, and what it answers by itself.
ENTRY_POINTS = ("worker/worker.h", "worker/control.h")

LIBRARY_HOMES = [
    (r"llhttp", ["proto/http1"]),
    (r"event2?/|event\.h", ["worker/net"]),
    (r"boost/", ["shm"]),
    (r"openssl/", ["worker/tls", "base", "master/version_text.cc"]),
    (r"sodium", ["base"]),
    (r"pcre2", ["conf"]),
    (r"ares", ["worker/upstream"]),
    (r"nghttp2/", ["worker/http/client", "tests"]),
    (r"hiredis/", ["worker/store"]),
    (r"maxminddb", ["worker/geo"]),
    (r"cjose/|jansson", ["worker/token"]),
    (r"systemd/", ["master"]),
    (r"nlohmann/", ["worker/status", "base"]),
]
used_exceptions = set()
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def folder_of(path):
    """The layer a path belongs to: the longest that is a folder above it."""
    layers = [layer for layer in MAY_INCLUDE if path.startswith(layer + "/")]
    return max(layers, key=len, default=None)


def room_of(path):
    match = re.match(r"worker/http/([^/]+)/", path)
    return match[1] if match else None


def wrong_room(path, included):
    here, there = room_of(path), room_of(included)
    if here is None or not included.startswith("worker/http/") or here == there:
        return None
    if there is not None and there in ROOMS.get(here, []):
        return None
    pair = tuple(name.removeprefix("worker/http/") for name in (path, included))
    if pair in ROOM_EXCEPTIONS:
        used_exceptions.add(pair)
        return None
    return f'includes "{included}": the room {here} may not know {there or "what stands above all rooms"}'


def wrong_own(path, included):
    here, there = folder_of(path), folder_of(included)
    if there is None:
        return f'includes "{included}", which is in no layer'
    if here == there or there in MAY_INCLUDE[here] or (here == "master" and included in ENTRY_POINTS):
        return wrong_room(path, included)
    return f'includes "{included}": {here} may not know {there}'


def wrong_library(path, included):
    for pattern, homes in LIBRARY_HOMES:
        if re.match(pattern, included) and not any(path == home or path.startswith(home + "/") for home in homes):
            return f"includes <{included}>: its home is {homes[0]}"
    return None


def check_file(root, path):
    with open(os.path.join(root, path), errors="replace") as text:
        for number, line in enumerate(text, 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            quote, included = match.groups()
            own = quote == '"' and os.path.exists(os.path.join(root, included))
            wrong = wrong_own(path, included) if own else wrong_library(path, included)
            if wrong:
                yield f"{path}:{number}: {wrong}"


def sources(root):
    for top in sorted({layer.split("/")[0] for layer in MAY_INCLUDE}):
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in sorted(names):
                if name.endswith((".h", ".cc")):
                    yield os.path.relpath(os.path.join(folder, name), root)


def main():
    root = sys.argv[1]
    checked = list(sources(root))
    wrong = [line for path in checked for line in check_file(root, path)]
    unused = sorted(ROOM_EXCEPTIONS.keys() - used_exceptions)
    wrong += [f"check_layers.py: the exception {path} -> {included} is not needed" for path, included in unused]
    print("\n".join(wrong) or f"{len(checked)} files are in order")
    return 1 if wrong or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
