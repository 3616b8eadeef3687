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
    "worker/upstream": ["base", "proto", "shm", "conf", "worker/net", "worker/tls"],
    "worker/store": ["base", "proto", "shm", "conf", "worker/net", "worker/tls", "worker/upstream"],
    "worker/sticky": ["base", "proto", "shm", "conf", "worker/net", "worker/tls", "worker/upstream", "worker/store"],
    "worker/health": ["base", "proto", "shm", "conf", "worker/net", "worker/tls", "worker/upstream"],
    "worker/status": ["base", "proto", "shm", "conf", "worker/net", "worker/upstream"],
    "worker/http": ["base", "proto", "shm", "conf", "worker/net", "worker/tls", "worker/upstream", "worker/store",
                    "worker/sticky", "worker/status"],
    "worker": ["base", "proto", "shm", "conf", "worker/net", "worker/tls", "worker/upstream", "worker/store",
               "worker/sticky", "worker/status", "worker/health", "worker/http"],
    "master": ["base", "shm", "conf"],
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
    (r"maxminddb", ["worker/http"]),
    (r"systemd/", ["master"]),
    (r"nlohmann/", ["worker/status", "base"]),
]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def folder_of(path):
    """The layer a path belongs to: the longest that is a folder above it."""
    layers = [layer for layer in MAY_INCLUDE if path.startswith(layer + "/")]
    return max(layers, key=len, default=None)


def wrong_own(path, included):
    here, there = folder_of(path), folder_of(included)
    if there is None:
        return f'includes "{included}", which is in no layer'
    if here == there or there in MAY_INCLUDE[here] or (here == "master" and included in ENTRY_POINTS):
        return None
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
    print("\n".join(wrong) or f"{len(checked)} files are in order")
    return 1 if wrong or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
