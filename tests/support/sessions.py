"""Sticky sessions by the thousand: limpet before servers of its own, and a client that pipelines.

`/?new=ID` opens a session, `/?id=ID` looks one up and opens none; the answer is the server's name.
"""
import json
import os
import re
import threading

from client import Connection, get
from daemon import Limpet
from origin import Reply
from ports import free_port

CONFIG = """
worker_processes 2;
events { }
{main}
http {
    keepalive_requests 10000000;
    upstream backend {
        {servers}
        sticky learn create=$arg_new lookup=$arg_id zone=clients:{size} {more};
    }
    {http}
    server {
        listen {port};
        location / { proxy_pass http://backend; }
        location /status/ { api /status/; }
    }
    server { listen 127.0.0.1:{a}; keepalive_requests 10000000; location / { return 200 "<a>"; } }
    server { listen 127.0.0.1:{b}; keepalive_requests 10000000; location / { return 200 "<b>"; } }
    server { listen 127.0.0.1:{c}; keepalive_requests 10000000; location / { return 200 "<c>"; } }
}
"""


# An upstream for limpets before origins `a` and `b`, which open the sessions: see `opens_sessions`.
LEARNING_UPSTREAM = """
    upstream app {
        zone app 64k;
        server 127.0.0.1:{a};
        server 127.0.0.1:{b};
        sticky learn create=$upstream_cookie_s lookup=$cookie_s zone=one:1m timeout=1h;
    }
"""


def opens_sessions(name):
    """For an Origin: who comes without a session is given one that begins with the server's name."""
    return lambda request: Reply(name.encode(), headers=[] if request.header("cookie") else
                                 [("Set-Cookie", f"s={name}{os.urandom(6).hex()}")])


class LoginServer:
    """An origin's answers: /login?ID opens a session, and /held waits until it is let go (`go`); `held` says that it waits."""

    def __init__(self, origin):
        self.origin, self.name = origin, origin.name
        self.go, self.held = threading.Event(), threading.Semaphore(0)
        origin.respond = self.respond

    def respond(self, request):
        path, _, query = request.target.partition("?")
        if path == "/held":
            self.hold()
        return Reply(self.name.encode(), headers=[("Set-Cookie", f"id={query}")] if path == "/login" else [])

    def hold(self):
        self.held.release()
        self.go.wait(20)


def two_servers(origins, kind=LoginServer):
    """For a fixture: servers `a` and `b`, which let go at the end."""
    pair = [kind(origin) for origin in origins("a", "b")]
    yield pair
    for server in pair:
        server.go.set()


def idle_seconds(port, session, zone="z"):
    """Since the session's last use; None: there is none. Looking leaves no trace."""
    response = get(port, f"/status/sessions/{zone}/{session}")
    return json.loads(response.text)["idle_ms"] / 1000 if response.status == 200 else None


class SessionLimpet(Limpet):
    def __init__(self, size="1m", more="", servers="ab", main="", http="", start=True):
        self.size, self.more, self.servers, self.main, self.http = size, more, servers, main, http
        ports = {name: free_port() for name in "abc"}
        super().__init__(self._config(ports), start=start, **ports)

    def _config(self, ports):
        servers = " ".join(f"server 127.0.0.1:{ports[name]};" for name in self.servers)
        config = CONFIG.replace("{servers}", servers).replace("{size}", self.size).replace("{more}", self.more)
        return config.replace("{main}", self.main).replace("{http}", self.http)

    def change(self, **settings):
        """A reload under other settings."""
        for name, value in settings.items():
            setattr(self, name, value)
        self.reload(self._config(self.values))

    def learn(self, ids):
        """Opens sessions; the server of each."""
        return dict(zip(ids, pipeline(self.port, [f"/?new={i}" for i in ids])))

    def visit(self, ids):
        return dict(zip(ids, pipeline(self.port, [f"/?id={i}" for i in ids])))

    def zone(self, name="clients"):
        return json.loads(get(self.port, f"/status/sessions/{name}").text)

    def capacity(self):
        """As `-t` says it."""
        return int(re.search(r"clients.*holds (\d+) ", self.run("-t").stderr)[1])


def pipeline(port, targets, batch=400, lanes=2):
    """The servers' names, in order, over a few connections at once; any answer but 200 is an error."""
    batches = [targets[begin:begin + batch] for begin in range(0, len(targets), batch)]
    connections = [Connection(port) for _ in range(min(lanes, len(batches)))]
    names = []
    for begin in range(0, len(batches), lanes):
        under_way = list(zip(connections, batches[begin:begin + lanes]))
        for connection, part in under_way:
            connection.send("".join(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n" for target in part))
        for connection, part in under_way:
            names += answers(connection, len(part))
    for connection in connections:
        connection.close()
    return names


def answers(connection, count):
    data = b""
    while data.count(b">") < count:
        more = connection.socket.recv(262144)
        if not more:
            raise EOFError(f"closed after {data[-200:]}")
        data += more
    assert data.count(b"HTTP/1.1 200 ") == count, data[:500]
    return [name.decode() for name in re.findall(rb"<(\w+)>", data)]
