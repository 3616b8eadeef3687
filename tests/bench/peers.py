"""Reverse proxies side by side: limpet, and those of nginx, HAProxy, h2o and nghttpx that are installed.

Each gets the same work. CONFIGS are for HTTP/2 (for HTTP/1: configs_http1.py): one worker, HTTP/1 upstreams whose connections
are kept, HTTP/2 towards clients, plain and in TLS, no access log. HELD go to upstreams that do not answer, everything else to
one that does.
"""
import glob
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

from oracle import oracle  # noqa: E402
from waiting import wait_until  # noqa: E402

KEPT = 1024  # upstream connections: more than requests at a time, where they are answered
# Several upstreams on addresses of their own: the kernel looks long for a port when one address has many thousand connections.
HELD = {f"hold{number}": f"127.0.1.{number}" for number in range(1, 5)}


@dataclass
class Places:
    """Where things are. `dir` has cert.pem, key.pem and both.pem, the two in one."""
    dir: str
    back: int
    hold: int
    plain: int
    tls: int
    connections: int  # that a process may have


def like_nginx(at, blocks, default, names=(), more=(), timeout="300s"):
    """What limpet and nginx read. `blocks`: upstreams; `names`: those that have their path, `default`: the one that has all others;
    `more`: of the server."""
    held = [f"upstream {name} {{ zone {name} 256k; server {address}:{at.hold}; }}" for name, address in HELD.items()]
    locations = [f"location /{name} {{ proxy_pass http://{name}; }}" for name in [*names, *HELD]]
    upstreams, of_server = "\n    ".join([*blocks, *held]), "\n        ".join([*locations, *more])
    return f"""
daemon off;
worker_processes 1;
pid {at.dir}/nginx.pid;
error_log {at.dir}/nginx.log error;
events {{ worker_connections {at.connections}; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout {timeout};
    proxy_read_timeout 600s;
    {upstreams}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    server {{
        listen 127.0.0.1:{at.plain} backlog=4096;
        listen 127.0.0.1:{at.tls} ssl backlog=4096;
        ssl_certificate {at.dir}/cert.pem;
        ssl_certificate_key {at.dir}/key.pem;
        location / {{ proxy_pass http://{default}; }}
        {of_server}
    }}
}}
"""


def like_haproxy(at, most, backends, default, tls="", more=""):
    """`backends`: lines of each; all but `default` have their path. `most`: connections of clients; `tls`: of its bind."""
    blocks = backends | {name: f"server {name} {address}:{at.hold}" for name, address in HELD.items()}
    rules = "\n    ".join(f"use_backend {name} if {{ path /{name} }}" for name in blocks if name != default)
    below = "\n".join(f"backend {name}\n    {lines}" for name, lines in blocks.items())
    return f"""
global
    nbthread 1
    {more}
    maxconn {most}
defaults
    mode http
    timeout connect 60s
    timeout client 600s
    timeout server 600s
    http-reuse always
frontend front
    bind 127.0.0.1:{at.plain} backlog 4096
    bind 127.0.0.1:{at.tls} ssl crt {at.dir}/both.pem {tls} backlog 4096
    {rules}
    default_backend {default}
{below}
"""


def nginx_config(at):
    back = f"upstream back {{ zone back 256k; server 127.0.0.1:{at.back}; keepalive {KEPT}; keepalive_requests 1000000000; }}"
    return like_nginx(at, [back], "back", more=["http2 on;"])


def haproxy_config(at):
    return like_haproxy(at, (at.connections - 200) // 2, {"back": f"server back 127.0.0.1:{at.back}"}, "back", "alpn h2,http/1.1")


def h2o_config(at):
    paths = "\n".join(f"      /{name}:\n        proxy.reverse.url: http://{address}:{at.hold}/" for name, address in HELD.items())
    return f"""
num-threads: 1
max-connections: {at.connections}
proxy.timeout.keepalive: 300000
proxy.timeout.io: 600000
listen:
  host: 127.0.0.1
  port: {at.plain}
listen:
  host: 127.0.0.1
  port: {at.tls}
  ssl:
    certificate-file: {at.dir}/cert.pem
    key-file: {at.dir}/key.pem
    ocsp-update-interval: 0
hosts:
  default:
    paths:
{paths}
      /:
        proxy.reverse.url: http://127.0.0.1:{at.back}/
"""


def nghttpx_config(at):
    backends = "\n".join(f"backend={address},{at.hold};/{name}" for name, address in HELD.items())
    return f"""
workers=1
frontend=127.0.0.1,{at.plain};no-tls
frontend=127.0.0.1,{at.tls}
private-key-file={at.dir}/key.pem
certificate-file={at.dir}/cert.pem
no-ocsp=yes
backlog=4096
backend=127.0.0.1,{at.back};/
{backends}
backend-keep-alive-timeout=300s
backend-read-timeout=600s
frontend-http2-read-timeout=600s
"""


CONFIGS = {"limpet": nginx_config, "nginx": nginx_config, "haproxy": haproxy_config, "h2o": h2o_config,
           "nghttpx": nghttpx_config}


@dataclass
class Peer:
    name: str
    binary: str
    kind: str

    def version(self):
        word = "-v" if self.kind in ("limpet", "nginx", "haproxy") else "--version"
        said = subprocess.run([self.binary, word], capture_output=True, text=True, timeout=20)
        return re.search(r"\d+(\.\d+)+", said.stdout + said.stderr)[0]

    def command(self, folder, config):
        if self.kind in ("limpet", "nginx"):
            return [self.binary, "-p", folder, "-c", config, "-e", os.path.join(folder, "nginx.log")]
        if self.kind == "haproxy":
            return [self.binary, "-db", "-f", config]
        if self.kind == "h2o":
            return [self.binary, "-m", "worker", "-c", config]
        if self.kind == "relay":
            return [self.binary, config]
        return [self.binary, f"--conf={config}", f"--errorlog-file={folder}/nghttpx.log"]


def find(nginx=None):
    """The peers that are installed, and the names of those that are not."""
    programs = {"nginx": nginx or oracle(), **{name: shutil.which(name) for name in ("haproxy", "h2o", "nghttpx")}}
    return [Peer(name, path, name) for name, path in programs.items() if path], [n for n, path in programs.items() if not path]


class Running:
    """`with Running(peer, places, cpu) as proxy`: it serves, on that processor alone."""

    def __init__(self, peer, at, cpu, configs=CONFIGS):
        self.config = os.path.join(at.dir, peer.kind + ".conf")
        with open(self.config, "w") as out:
            out.write(configs[peer.kind](at))
        self.words = os.path.join(at.dir, peer.kind + ".out")
        with open(self.words, "w") as out:
            self.process = subprocess.Popen(["taskset", "-c", str(cpu), *peer.command(at.dir, self.config)], cwd=at.dir,
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        self.name, self.at = peer.name, at
        self.ports = (at.plain,) if peer.kind == "relay" else (at.plain, at.tls)

    def __enter__(self):
        try:
            wait_until(self._serves, f"{self.name} to serve")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _serves(self):
        if self.process.poll() is not None:
            with open(self.words) as words:
                raise AssertionError(f"{self.name} did not start:\n{words.read()}")
        return all(is_open(port) for port in self.ports)

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:  # it waits for clients
            for pid in self.family():
                os.kill(pid, signal.SIGKILL)
            self.process.wait()

    def family(self):
        return family(self.process.pid)

    def seconds(self):
        """Of processor time that its processes have used, as exact as the scheduler counts."""
        spent = 0
        for path in (path for pid in self.family() for path in glob.glob(f"/proc/{pid}/task/*/schedstat")):
            with open(path) as text:
                spent += int(text.read().split()[0])
        return spent / 1e9

    def memory(self):
        """Bytes of its processes; what they share counts once (PSS)."""
        total = 0
        for pid in self.family():
            with open(f"/proc/{pid}/smaps_rollup") as text:
                total += int(re.search(r"^Pss:\s+(\d+)", text.read(), re.M)[1]) * 1024
        return total


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def family(pid):
    """The process and all below it."""
    found = [pid]
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        with open(path) as text:
            for child in text.read().split():
                found += family(int(child))
    return found
