"""Checks that each field of the configuration is read by somebody outside conf/: else its directive does nothing.

Usage: check_fields.py ROOT. Prints the fields that nobody reads, and the exceptions that are none, one line each; exit status 1
if there are any.
"""
import glob
import os
import re
import sys

# The headers of the constant Config. All others in conf/ are of its making.
HEADERS = ["access", "browsers", "config", "geoip2", "health_check", "jwt", "listen", "logging", "proxy", "response", "rewrite",
           "session_store", "status_zone", "upstream", "upstream_tls"]
READERS = ["worker", "master", "shm", "base"]

# Fields that nobody outside needs, with the reason. One that somebody reads may not stand here.
OF_CONF = {
    "Config.named_at": "WithPlace reads it",
    "Listen.declared_at": "for errors of the load",
    "Http.http2_recv_buffer_size": "connections read into blocks of the pool",
    "Http2Settings.enabled": "SpeaksHttp2() is asked",
    "ProxyPass.has_uri": "DefaultRedirect() is asked",
    "Referers.declared_at": "for errors of the load",
    "ResponseSettings.add_header_inherit": "says which headers a block begins with",
    "ResponseSettings.add_trailer_inherit": "says which trailers a block begins with",
    "Server.declared_at": "for errors of the load",
    "ServerName.declared_at": "for errors of the load",
    "SessionStore.declared_at": "for errors of the load",
    "SetHeader.declared_at": "for errors of the load",
    "StatusZone.declared_at": "for errors of the load",
    "StatusZone.kMaxValues": "checked at load",
    "Upstream.declared_at": "for errors of the load",
    "Upstream.kMaxChecks": "checked at load",
    "UpstreamServer.resolve": "is_resolved() is asked",
}

FIELD = re.compile(r"^\s+(?!using |enum |static |return |friend |struct |class |constexpr |explicit )[\w:<>,*& ]+?[\w>*&] "
                   r"(\w+)(?:, (\w+))?(?:, (\w+))?\s*(?:=[^;]*|\{[^;]*\})?;")


def without_comments(text):
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.S)


def joined(text):
    """Declarations that are broken over lines, in one line each."""
    return re.sub(r"(?<=[^;{}:\s])\s*\n\s+(?=[^\s])", " ", text)


def fields(text):
    """(struct, field) of every struct in a header."""
    structs, depth = [], 0
    for line in joined(without_comments(text)).splitlines():
        found = re.match(r"\s*struct (\w+)[^;]*\{", line)
        if found:
            structs.append((found[1], depth))
        elif structs and depth == structs[-1][1] + 1 and "(" not in line.split("=")[0]:
            for name in (FIELD.match(line) or [None, None])[1:] if not FIELD.match(line) else FIELD.match(line).groups():
                if name:
                    yield structs[-1][0], name
        depth += line.count("{") - line.count("}")
        while structs and depth <= structs[-1][1]:
            structs.pop()


def sources(root):
    for folder in READERS:
        for path in glob.glob(os.path.join(root, folder, "**", "*.*"), recursive=True):
            if path.endswith((".cc", ".h")):
                with open(path, encoding="utf-8") as file:
                    yield without_comments(file.read())


def main(root):
    read = set()
    for text in sources(root):
        read.update(re.findall(r"(?:\.|->|::)\s*(\w+)", text))
        read.update(name for names in re.findall(r"\[((?:\w+, )*\w+)\] :", text) for name in names.split(", "))
    unread, excused = [], set()
    for header in HEADERS:
        with open(os.path.join(root, "conf", header + ".h"), encoding="utf-8") as file:
            for struct, name in fields(file.read()):
                if name in read:
                    continue
                if f"{struct}.{name}" in OF_CONF:
                    excused.add(f"{struct}.{name}")
                else:
                    unread.append(f"conf/{header}.h: {struct}::{name} is read by nobody outside conf/")
    unread += [f"check_fields.py: {name} is no exception any more" for name in OF_CONF if name not in excused]
    print("\n".join(unread))
    return 1 if unread else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
