"""Configurations around the lines that a page shows."""
import os
import shutil
import subprocess

from certificates import Authority
from daemon import BINARY
from waiting import PATIENCE

ADDRESSES = os.path.join(os.path.dirname(__file__), "../fuzz/seeds/geo/v6_28.mmdb")
SERVERS = "server 127.0.0.1:9001; server 127.0.0.1:9002;"
APP = f"upstream app {{ zone app 256k; {SERVERS} }}"


def whole(block):
    """A configuration with the lines of a block where they belong."""
    text = block.text
    app = "" if "upstream app " in text else APP
    match block.kind:
        case "http":
            return f"events {{ }}\nhttp {{\n{text}\n{app}\n}}\n"
        case "upstream":
            servers = "" if "server " in text else SERVERS
            zone = "" if "zone app" in text else "zone app 256k;"
            return (f"events {{ }}\nhttp {{ upstream app {{ {zone} {servers}\n{text}\n}}\n"
                    "server { location / { proxy_pass http://app; } } }\n")
        case "map":
            return f"events {{ }}\nhttp {{\n{text}\n}}\n"
        case "server":
            return f"events {{ }}\nhttp {{ {app} server {{\n{text}\n}} }}\n"
        case "location":
            return f"events {{ }}\nhttp {{ {app} server {{ location / {{\n{text}\n}} }} }}\n"
        case "main":
            return text + ("" if "events" in text else "events { }\n")
    return text


AUTHORITY = """
[ca]
default_ca = own
[own]
database = index.txt
default_md = sha256
"""


def _of_authorities(folder):
    """A list of revoked certificates, an answer about one, parameters, keys of tickets."""
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=PATIENCE)

    for name, text in (("index.txt", ""), ("index.txt.attr", ""), ("ca.conf", AUTHORITY)):
        with open(os.path.join(folder, name), "w") as out:
            out.write(text)
    openssl("ca", "-config", "ca.conf", "-gencrl", "-crldays", "2", "-keyfile", "ca.key", "-cert", "ca.crt", "-out", "revoked.pem")
    openssl("ocsp", "-index", "index.txt", "-CA", "ca.crt", "-rsigner", "ca.crt", "-rkey", "ca.key", "-issuer", "ca.crt", "-cert",
            "example.crt", "-respout", "status.der", "-ndays", "1")
    openssl("genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048", "-out", "dh.pem")
    with open(os.path.join(folder, "tickets.key"), "wb") as out:
        out.write(os.urandom(80))
    os.chmod(os.path.join(folder, "tickets.key"), 0o600)


def furnish(folder):
    """What configurations of the pages name in /etc/limpet: certificates, keys, files."""
    os.makedirs(os.path.join(folder, "logs"), exist_ok=True)
    Authority(folder).issue("example")
    _of_authorities(folder)
    with open(os.path.join(folder, "cookie.keys"), "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
        out.write("as-good-as-any-other\n")
    for name in ("redis.pw", "sentinel.pw", "cluster.key", "old.key", "new.key", "secret", "tokens.key"):
        with open(os.path.join(folder, name), "w") as out:
            out.write(f"as good as any other: {name}\n")
        os.chmod(os.path.join(folder, name), 0o600)
    shutil.copy(ADDRESSES, os.path.join(folder, "city.mmdb"))
    with open(os.path.join(folder, "mime.types"), "w") as out:
        out.write("types { text/html html; }\n")


def check(text, folder):
    """`limpet -t` on it; returns the finished process."""
    with open(os.path.join(folder, "limpet.conf"), "w") as out:
        out.write(text.replace("/etc/limpet/", str(folder) + "/").replace("/var/log/limpet/", str(folder) + "/logs/"))
    return subprocess.run([BINARY, "-t", "-p", str(folder) + "/", "-c", "limpet.conf", "-e", "stderr"], capture_output=True, text=True,
                          timeout=PATIENCE)
