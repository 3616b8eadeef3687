"""Limpets that stand for machines: one configuration, the same servers behind them, one Redis between them.

`/login?ID` begins session ID at the server that takes it, `/logout?ID` ends it; the answer is the server's name. That of
`/stream?ID`, which begins a session too, goes on until the machines end.
"""
import contextlib
import json
import os
import shutil
import tempfile
import threading
import time

from binaries import ManyMasters
from client import get
from daemon import fill_in
from origin import Origin, Reply
from waiting import wait_until

CONFIG = """
{main}
events { worker_connections 2048; }
http {
    keepalive_requests 1000000;
    {http}
    {stores}
    upstream app {
        zone app 256k;
        {servers}
        sticky learn create={create} lookup={lookup} zone={zone}:{size} timeout={timeout} {sticky};
    }
    server {
        listen {port} backlog=1024;
        location / {
            add_header X-Sticky "$sticky_status" always;
            proxy_pass http://app;
        }
        location /status/ { api /status/ write=on; }
        location /dashboard/ { dashboard /status/; }
        location = /metrics { prometheus; }
    }
}
"""
STORE = """
    session_store shared {
        {where}
        {key_file}
        wait {wait};
        {store}
    }
"""
ZONE = "sessions"


def write_secret(path, data=None):
    """For limpet's own eyes; a key, if nothing else is said."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data or os.urandom(32))
    return path


class Machine(ManyMasters):
    """One of them. What it is asked goes over a connection of its own each time, so that any worker may take it."""

    def write(self, config=CONFIG, name="limpet.conf"):
        """What is put in may have places of its own."""
        for _ in range(2):
            config = fill_in(config, self.values)
        super().write(config, name)

    def change(self, **values):
        """A reload under other values."""
        self.values.update(values)
        self.reload(CONFIG)

    @property
    def zone(self):
        return self.values["zone"]

    def address_of(self, server):
        return next(address for address, name in self.names.items() if name == server)

    def login(self, session):
        return self._name("/login?" + session)

    def visit(self, session):
        return self._name("/", session)

    def logout(self, session):
        return self._name("/logout?" + session, session)

    def _name(self, path, session=None):
        response = get(self.port, path, cookies={"id": session} if session else None)
        assert response.status == 200, response
        return response.text

    def sticky(self, session):
        """What $sticky_status says of a visit."""
        return get(self.port, cookies={"id": session}).header("x-sticky")

    def visit_all(self, sessions):
        return {session: self.visit(session) for session in sessions}

    def call(self, method, path, body=None, status=200):
        response = get(self.port, "/status/" + path, method=method, body=json.dumps(body).encode() if body else b"",
                       headers=[("Content-Type", "application/json")] if body else ())
        assert response.status == status, response
        return json.loads(response.text)

    def server_of(self, session):
        """The server's name as far as this machine's zone knows; looking is no use of the session."""
        response = get(self.port, f"/status/sessions/{self.zone}/{session}")
        if response.status == 404:
            return None
        assert response.status == 200, response
        return self.names[json.loads(response.text)["servers"][0]]

    def idle_of(self, session):
        """Milliseconds since its last use, as far as this machine's zone knows."""
        return self.call("GET", f"sessions/{self.zone}/{session}")["idle_ms"]

    def active(self):
        return self.call("GET", f"sessions/{self.zone}")["active"]

    def stored_zones(self):
        return [zone for store in self.call("GET", "stores").values() for zone in store["zones"].values()]

    def all_ask(self):
        """Every worker is in touch with the store of every zone."""
        return all(zone["asking_workers"] >= self.worker_count() for zone in self.stored_zones())

    def all_told(self):
        """And none has a change that is not there."""
        return self.all_ask() and all(zone["waiting"] == 0 for zone in self.stored_zones())

    def forget(self, session):
        assert self.call("DELETE", f"sessions/{self.zone}/{session}") == {"forgotten": 1}

    def begin_anew(self):
        """As a new machine in its place: no zone, no file."""
        self.end()
        self.remove_zones()
        shutil.rmtree(self.path("state"), ignore_errors=True)
        self.start()


class Machines:
    """`with Machines(redis) as (a, b): …`. `where` are the lines that say where Redis is, `store` further ones of the
    block, `sticky` further parameters of the directive. `ready=False`: it is not waited for that they reach Redis.
    """

    def __init__(self, redis=None, count=2, where=None, origins="abc", ready=True, **values):
        self.redis, self.all, self._ids, self._over = redis, [], 0, threading.Event()
        self.origins = {name: Origin(name, respond=self._answers(name)) for name in origins}
        self.keys = tempfile.mkdtemp(prefix="limpet-keys-")
        write_secret(os.path.join(self.keys, "one.key"))
        self.values = {"workers": 2, "main": "", "http": "", "stores": STORE, "store": "", "wait": "2s", "timeout": "1h",
                       "zone": ZONE, "size": "1m", "create": "$upstream_cookie_id", "lookup": "$cookie_id", "sticky": "store=shared", "key_file": "key_file {keys}/one.key;", "keys": self.keys,
                       "where": where or (f"server 127.0.0.1:{redis.port};" if redis else ""),
                       "servers": " ".join(self.server(name) for name in origins),
                       **values}
        try:
            for _ in range(count):
                self.add()
            if ready and count:
                self.wait_ready()
        except BaseException:
            self.__exit__(AssertionError)
            raise

    def server(self, name):
        return f"server 127.0.0.1:{self.origins[name].port};"

    def add(self, **different):
        """One more machine, in which these values are others."""
        machine = Machine(CONFIG, start=False, **{**self.values, **different})
        machine.names = {f"127.0.0.1:{origin.port}": name for name, origin in self.origins.items()}
        self.all.append(machine)
        machine.start()
        return machine

    def _answers(self, name):
        def stream(session):
            yield f"HTTP/1.1 200 OK\r\nSet-Cookie: id={session}\r\n\r\n{name}".encode()
            self._over.wait()

        def respond(request):
            path, _, session = request.target.partition("?")
            if path == "/stream":
                return Reply(raw=stream(session), close=True)
            headers = {"/login": [("Set-Cookie", f"id={session}")], "/logout": [("X-Logout", session)]}
            return Reply(name.encode(), headers=headers.get(path, []))
        return respond

    # What several of them do

    def new_id(self):
        self._ids += 1
        return f"probe-{self._ids}"

    def travels(self, begin, end):
        """A session that has just begun at one is known at the other."""
        session = self.new_id()
        home = begin.login(session)
        return end.visit(session) == home and end.server_of(session) == home

    def wait_ready(self, machines=None):
        """Until every worker of all asks Redis, and what begins at one comes to the next."""
        machines = machines or self.all
        if len(machines) == 1:
            wait_until(lambda: machines[0].login(self.new_id()) and len(self.redis.sessions()) > 8, "sessions in Redis")
        for begin, end in zip(machines, [*machines[1:], machines[0]]):
            if begin is not end:
                wait_until(lambda: all(self.travels(begin, end) for _ in range(8)), "sessions to travel")
        for machine in machines:
            wait_until(machine.all_ask, "all workers to ask Redis")

    def spread(self, count, name="s"):
        """Begins so many sessions, each machine its share; the server of each."""
        return {f"{name}{i}": self.all[i % len(self.all)].login(f"{name}{i}") for i in range(count)}

    def __enter__(self):
        return self.all

    def tell(self):
        """What each of them and Redis know, for who reads of a test that failed."""
        for number, machine in enumerate(self.all):
            with contextlib.suppress(Exception):
                print(f"machine {number}: workers {machine.workers()}, {json.dumps(machine.call('GET', 'stores'))}")
            with contextlib.suppress(Exception):
                print("\n".join(machine.log_lines("")[-15:]))
        with contextlib.suppress(Exception):
            stream = f"limpet:{{{ZONE}}}:changes"
            print(f"Redis: {self.redis.process.poll()}, {self.redis('XREVRANGE', stream, '+', '-', 'COUNT', 10)}")

    def __exit__(self, kind, *_):
        if kind is not None:
            self.tell()
        try:
            for machine in self.all:
                machine.__exit__(kind)
        finally:
            self._over.set()
            for origin in self.origins.values():
                origin.stop()
            shutil.rmtree(self.keys, ignore_errors=True)


def seconds(action):
    """How long it takes."""
    begin = time.monotonic()
    action()
    return time.monotonic() - begin
