"""What stands around the proxies that are measured: the server behind, one that never answers, certificates, the load."""
import json
import os
import selectors
import shutil
import socket
import subprocess
import threading

from certificates import Authority
from peers import is_open
from ports import free_port
from waiting import wait_until

PROXY_CPU, LOAD_CPU = 0, 1
BACK = """
daemon off;
worker_processes 1;
pid {dir}/back.pid;
error_log {dir}/back.log error;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    sendfile on;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    server {{
        {listen}
        root {dir};
        location = /big {{ }}
        location / {{ return 200 "{body}"; }}
    }}
}}
"""


class Back:
    """The server behind, on one port of the addresses 127.0.0.1 to 127.0.0.N: /big is a megabyte, all else 128 bytes."""

    def __init__(self, binary, folder, descriptors, addresses=1):
        self.port = free_port()
        with open(os.path.join(folder, "big"), "wb") as big:
            big.write(os.urandom(1 << 20))
        listen = " ".join(f"listen 127.0.0.{number}:{self.port} backlog=4096;" for number in range(1, addresses + 1))
        with open(os.path.join(folder, "back.conf"), "w") as config:
            config.write(BACK.format(dir=folder, listen=listen, body="x" * 128, connections=descriptors))
        self.process = subprocess.Popen(["taskset", "-c", str(LOAD_CPU), binary, "-p", folder, "-c", config.name,
                                         "-e", os.path.join(folder, "back.log")])

    def __enter__(self):
        wait_until(lambda: is_open(self.port), "the server behind")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


class Holder:
    """Reads requests and answers none; `held` counts the connections that have brought one."""

    def __init__(self):
        self.port, self.held = free_port(), 0
        self.listener = socket.create_server(("", self.port), backlog=4096)
        self.listener.setblocking(False)
        self.over, self.end = os.pipe()
        self.thread = threading.Thread(target=self._serve)

    def _serve(self):
        connections = []
        with selectors.DefaultSelector() as ready:
            ready.register(self.listener, selectors.EVENT_READ)
            ready.register(self.over, selectors.EVENT_READ)
            while True:
                for key, _ in ready.select():
                    if key.fileobj == self.over:
                        self._drop(connections)
                        return
                    if key.fileobj is self.listener:
                        connections.append(self.listener.accept()[0])
                        ready.register(connections[-1], selectors.EVENT_READ)
                    else:
                        self.held += bool(key.fileobj.recv(65536))
                        ready.unregister(key.fileobj)

    def _drop(self, connections):
        for connection in connections:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # no port waits for its end
            connection.close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        os.write(self.end, b".")
        self.thread.join()
        for descriptor in (self.over, self.end):
            os.close(descriptor)
        self.listener.close()


def prepare(folder):
    certificate, key = Authority(folder).issue("localhost")
    for source, name in ((certificate, "cert.pem"), (key, "key.pem")):
        shutil.copy(source, os.path.join(folder, name))
    with open(os.path.join(folder, "both.pem"), "w") as both:
        for name in (certificate, key):
            with open(name) as part:
                both.write(part.read())
