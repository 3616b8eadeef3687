"""A reload to another size of a session zone: what its old workers still hear is not lost."""
import json
import os
import signal
import threading

import pytest

from binaries import Binaries
from client import Connection, get
from daemon import Limpet
from origin import Reply
from sessions import idle_seconds
from waiting import wait_until
from websocket import upgrade

RESIZED = """
worker_processes 2;
events { }
http {
    upstream app {
        zone app 64k;
        server 127.0.0.1:{a} route=a;
        server 127.0.0.1:{b} route=b;
        sticky learn create=$upstream_cookie_id lookup=$cookie_id zone=z:{size} timeout=6s gc_period=1s header;
    }
    server {
        listen {port};
        location / {
            proxy_pass http://app;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $http_connection;
        }
        location /status/ { api /status/; }
    }
}
"""


class Opener:
    """Opens a session at /login?NAME, and waits before that at /slow?NAME. At /failing it waits, and gives no answer if it
    `fails`."""

    def __init__(self, origin):
        self.origin, self.name = origin, origin.name
        self.asked, self.open, self.fails = threading.Event(), threading.Event(), False
        origin.respond = self.respond

    def respond(self, request):
        path, _, query = request.target.partition("?")
        if path == "/slow" or (path == "/failing" and self.fails):
            self.asked.set()
            self.open.wait(20)
        if path == "/failing" and self.fails:
            return Reply(raw=b"", close=True)
        return Reply(self.name.encode(), headers=[("Set-Cookie", f"id={query}")] if path in ("/login", "/slow") else [])


def resize(limpet, size, config=RESIZED):
    """A reload to another size of the zone; returns when the new workers are at work beside the old ones."""
    old = set(limpet.workers())
    limpet.write(config.replace("{size}", size))
    limpet.kill(signal.SIGHUP)
    wait_until(lambda: len(set(limpet.workers()) - old) == 2, "new workers")
    limpet.wait_log("gracefully shutting down", count=2)
    return old


@pytest.mark.parametrize("size", ["64k", "1m"])
def test_sessions_that_begin_during_a_reload_to_another_size_are_known_at_once(origins, size):
    servers = [Opener(origin) for origin in origins("a", "b")]
    with Limpet(RESIZED.replace("{size}", "256k"), a=servers[0].origin.port, b=servers[1].origin.port) as limpet:
        clients = [Connection(limpet.port) for _ in range(6)]
        for number, client in enumerate(clients):
            client.send(f"GET /slow?late-{number} HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: sum(server.origin.hits for server in servers) == 6, "the requests")
        resize(limpet, size)
        for server in servers:
            server.open.set()
        for number, client in enumerate(clients):
            home = client.response().text
            for _ in range(4):
                assert get(limpet.port, cookies={"id": f"late-{number}"}).text == home
            client.close()
        # The old ones have ended: what they said last is in the new table, and no other is asked.
        wait_until(lambda: len(limpet.workers()) == 2, "the old workers' end")
        assert json.loads(get(limpet.port, "/status/sessions/z").text)["active"] == 6


def test_a_session_that_an_old_worker_binds_anew_is_known_there_at_once(origins):
    servers = {server.name: server for server in (Opener(origin) for origin in origins("a", "b"))}
    config = RESIZED.replace(" route=", " max_fails=0 route=")
    with Limpet(config.replace("{size}", "256k"), a=servers["a"].origin.port, b=servers["b"].origin.port) as limpet:
        home = get(limpet.port, "/login?moved").text
        other = next(name for name in servers if name != home)
        servers[home].fails = True
        with Connection(limpet.port) as client:
            client.send("GET /failing HTTP/1.1\r\nHost: x\r\nCookie: id=moved\r\n\r\n")
            assert servers[home].asked.wait(20)
            resize(limpet, "512k", config)
            wait_until(lambda: idle_seconds(limpet.port, "moved") > 0.3, "the move of the zone to be over")
            servers[home].open.set()
            assert client.response().text == other
            assert [get(limpet.port, cookies={"id": "moved"}).text for _ in range(4)] == [other] * 4


def test_what_old_workers_hear_reaches_a_new_binary(origins):
    servers = [Opener(origin) for origin in origins("a", "b")]
    limpet = Limpet(RESIZED.replace("{size}", "256k"), a=servers[0].origin.port, b=servers[1].origin.port)
    with Binaries(limpet, workers=2) as both:
        clients = [Connection(limpet.port) for _ in range(6)]
        for number, client in enumerate(clients):
            client.send(f"GET /slow?late-{number} HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: sum(server.origin.hits for server in servers) == 6, "the requests")
        resize(limpet, "512k")
        both.upgrade()
        os.kill(both.old, signal.SIGQUIT)
        for server in servers:
            server.open.set()
        homes = [client.response().text for client in clients]
        both.wait_end(both.old)
        for number, home in enumerate(homes):
            assert [get(limpet.port, cookies={"id": f"late-{number}"}).text for _ in range(4)] == [home] * 4
            clients[number].close()


def test_a_tunnel_that_is_held_over_a_reload_to_another_size_keeps_its_session(origins):
    servers = [Opener(origin) for origin in origins("a", "b")]

    def state(limpet, key):
        return get(limpet.port, f"/status/sessions/z/{key}").status

    with Limpet(RESIZED.replace("{size}", "256k"), a=servers[0].origin.port, b=servers[1].origin.port) as limpet:
        homes = {key: get(limpet.port, f"/login?{key}").text for key in ("held", "idle")}
        with Connection(limpet.port) as tunnel:
            assert upgrade(tunnel, cookies="id=held").status == 101
            resize(limpet, "512k")
            get(limpet.port, cookies={"id": "idle"})
            wait_until(lambda: state(limpet, "idle") == 404, "the end of a session that nobody uses")
            assert state(limpet, "held") == 200
            assert get(limpet.port, cookies={"id": "held"}).text == homes["held"]
