"""rebalance: idle sessions go to a server that has come, or off one that leaves; those in use stay where they are."""
import json
import os
import re
import signal
import time

import pytest

from binaries import ManyMasters
from client import Connection, get
from machines import Machines
from origin import Reply
from sessions import pipeline
from waiting import wait_until
from websocket import TEXT, frame, read_frame, upgrade

CONFIG = """
worker_processes 2;
events { }
http {
    keepalive_requests 10000000;
    upstream app {
        zone app 256k;
        {servers}
        least_sessions;
        sticky learn create=$arg_new lookup=$arg_id zone=clients:1m timeout={timeout} {sticky};
        {rebalance}
    }
    server {
        listen {port};
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $http_connection;
        add_header X-Sticky "$sticky_status" always;
        location / { proxy_pass http://app; }
        location /status/ { api /status/ write=on; }
        location = /metrics { prometheus; }
    }
}
"""
BEGINS, ENDS = r"loads are uneven, idle sessions begin to move", r"loads are even after \d+ s, \d+ sessions have moved"
SOON = {"timeout": "18s", "rebalance": "rebalance rate=200/s idle=6s;"}  # what a connection holds is known after 6 s


@pytest.fixture
def servers(origins):
    made = origins(*"abc")
    for server in made:
        server.respond = answers(server)
    return {server.name: server for server in made}


def answers(server):
    """Its name; /long takes as long as the test lets it."""
    def respond(request):
        if request.target.startswith("/long"):
            def late():
                yield b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n<"
                wait_until(lambda: getattr(server, "go", False), "the end of the test", patience=60)
                yield server.name.encode() + b">"
            return Reply(raw=late())
        return Reply(f"<{server.name}>".encode())
    return respond


class Site(ManyMasters):
    def __init__(self, servers, names="ab", timeout="1h", rebalance="", sticky="", more=None):
        self.servers = servers
        super().__init__(CONFIG, timeout=timeout, rebalance=rebalance, sticky=sticky,
                         servers=self.lines(names, more or {}))
        wait_until(lambda: os.path.exists(self.path("limpet.sock")), "the control socket")

    def lines(self, names, more):
        return " ".join(f"server 127.0.0.1:{self.servers[name].port} route={name} {more.get(name, '')};" for name in names)

    def change(self, names=None, more=None, **values):
        if names:
            values["servers"] = self.lines(names, more or {})
        self.values.update(values)
        self.reload(CONFIG)

    def learn(self, count, name="s"):
        ids = [f"{name}{i}" for i in range(count)]
        return dict(zip(ids, pipeline(self.port, [f"/?new={i}" for i in ids])))

    def visit(self, ids):
        return dict(zip(ids, pipeline(self.port, [f"/?id={i}" for i in ids])))

    def call(self, method, path, body=None, status=200):
        answer = get(self.port, "/status/" + path, method=method, body=json.dumps(body).encode() if body is not None else b"",
                     headers=[("Content-Type", "application/json")] if body is not None else ())
        assert answer.status == status, answer
        return json.loads(answer.text)

    def loads(self):
        return {peer["id"]: peer["sessions"] for peer in self.call("GET", "upstreams/app")["peers"]}

    def zone(self):
        return self.call("GET", "sessions/clients")

    def place(self, session):
        """Where it lives; a look that is no use."""
        server, = self.call("GET", f"sessions/clients/{session}")["servers"]
        return next(name for name, origin in self.servers.items() if server.endswith(f":{origin.port}"))

    def is_even(self, names):
        loads = self.loads()
        mean = sum(loads[name] for name in names) / len(names)
        return all(abs(loads[name] - mean) <= max(0.1 * mean, 1) for name in names)

    def wait_even(self, names):
        wait_until(lambda: self.is_even(names), "even loads", patience=60)

    def check_all(self, before):
        """No session is lost, each is where the zone says, and its requests hit."""
        places = self.visit(before)  # and from now on none is idle
        assert {session: self.place(session) for session in before} == places
        some = list(before)[::20]
        assert {get(self.port, f"/?id={session}").header("x-sticky") for session in some} == {"hit"}
        return places


def moved(before, after):
    return {session for session in before if before[session] != after[session]}


def test_a_third_server_gets_its_share(servers):
    with Site(servers, **SOON) as site:
        before = site.learn(300)
        assert site.loads() == {"a": 150, "b": 150}
        site.change("abc")
        site.wait_even("abc")
        end, = site.wait_log(ENDS)
        after = site.check_all(before)
        gone = moved(before, after)
        assert {after[session] for session in gone} == {"c"}
        assert re.search(r"a has 150 of 100|127.0.0.1:\d+ has 150 of 100", site.log_lines(BEGINS)[0])
        assert f" {len(gone)} sessions have moved" in end
        assert site.zone()["moved"] == len(gone) and site.zone()["active"] == 300
        assert f'limpet_sessions_moved_total{{zone="clients"}} {len(gone)}' in get(site.port, "/metrics").text
        assert len(site.log_lines(BEGINS)) == len(site.log_lines(ENDS)) == 1


def test_a_server_that_comes_back_gets_its_share_by_weight(servers):
    with Site(servers, "abc", more={"c": "weight=2"}, **SOON) as site:
        site.call("PATCH", "upstreams/app/peers/c", {"down": True})
        before = site.learn(200)
        assert site.loads() == {"a": 100, "b": 100, "c": 0}
        site.call("PATCH", "upstreams/app/peers/c", {"down": False})
        site.wait_log(ENDS)
        loads = site.loads()
        assert abs(loads["c"] - 100) <= 5 and abs(loads["a"] - 50) <= 3
        site.check_all(before)


def test_the_rate_is_held(servers):
    with Site(servers, timeout="24s", rebalance="rebalance rate=20/s idle=8s;") as site:
        before = site.learn(120)
        site.change("abc")
        wait_until(lambda: site.zone()["moved"] > 0, "the first")
        seen = []
        while not site.log_lines(ENDS):
            assert len(seen) < 3000
            asked = time.monotonic()
            count = site.zone()["moved"]
            seen.append((asked, time.monotonic(), count))
            time.sleep(0.02)
        for begin, _, few in seen:
            for _, end, many in seen:
                assert many - few <= 20 * max(end - begin, 0) + 5, (begin, end, few, many)
        assert seen[-1][2] >= 30
        site.check_all(before)


def test_what_a_connection_holds_stays(servers):
    with Site(servers, "a", **SOON) as site:
        before = site.learn(60)
        held = {f"s{i}": Connection(site.port) for i in range(0, 12)}
        for number, (session, client) in enumerate(held.items()):
            if number % 2:
                assert upgrade(client, f"/?id={session}").status == 101
                client.send(frame(TEXT, b"hello"))
                assert read_frame(client.stream) == (TEXT, b"hello")
            else:
                client.send(f"GET /long?id={session} HTTP/1.1\r\nHost: x\r\n\r\n")
        site.values["servers"] = site.lines("abc", {})
        site.write(CONFIG)
        site.kill(signal.SIGHUP)  # old workers go on with the connections
        site.wait_log(ENDS)
        assert site.is_even("abc")
        for session, client in held.items():
            assert site.place(session) == "a", session
        late = Connection(site.port)  # it begins when its session is idle for long, and is held from its head on
        rest = next(session for session in before if session not in held and site.place(session) == "a")
        late.send(f"GET /long?id={rest} HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: site.call("GET", f"sessions/clients/{rest}")["idle_ms"] < 3000, "it to be held")
        assert site.call("POST", "upstreams/app/rebalance", {"idle": "6s", "dry_run": True})["moved"] <= 2
        servers["a"].go = True
        for number, client in enumerate(held.values()):
            if number % 2 == 0:
                assert client.response().text == "<a>"
            else:
                client.send(frame(TEXT, b"still here"))
                assert read_frame(client.stream) == (TEXT, b"still here")
        assert late.response().text == "<a>"
        for client in (*held.values(), late):
            client.close()


def test_by_hand_and_what_it_would_do(servers):
    with Site(servers, timeout="30s") as site:  # no `rebalance`
        before = site.learn(300)
        site.change("abc")
        quiet = json.loads(site.run("rebalance", "app", "--dry-run", "--json").stdout)
        assert quiet["moved"] == 0, "nothing is idle for long enough"
        wait_until(lambda: site.call("GET", "sessions/clients/s299")["idle_ms"] > 15_100, "idle sessions", patience=40)
        would = json.loads(site.run("rebalance", "app", "--dry-run", "--json").stdout)
        assert site.call("POST", "upstreams/app/rebalance", {"dry_run": True}) == would
        assert site.loads() == {"a": 150, "b": 150, "c": 0}
        table = site.run("rebalance", "app")
        assert table.returncode == 0 and "200 sessions" not in table.stdout and "100 sessions have moved" in table.stdout
        assert would == {"dry_run": True, "moved": 100, "servers": [
            {"server": f"127.0.0.1:{servers[name].port}", "sessions": had, "share": 100, "gives": gives, "takes": takes}
            for name, had, gives, takes in (("a", 150, 50, 0), ("b", 150, 50, 0), ("c", 0, 0, 100))]}
        assert site.loads() == {"a": 100, "b": 100, "c": 100}
        again = site.call("POST", "upstreams/app/rebalance")
        assert (again["moved"], again["dry_run"]) == (0, False)
        site.check_all(before)


def test_what_is_wrong_is_said(servers):
    with Site(servers) as site:
        for method, path, body, status in (
                ("POST", "upstreams/nobody/rebalance", {}, 404), ("POST", "upstreams/app/rebalance", {"dry_run": 1}, 400),
                ("POST", "upstreams/app/rebalance", {"idle": "1s"}, 400), ("POST", "upstreams/app/rebalance", {"idle": 5}, 400),
                ("POST", "upstreams/app/rebalance", {"x": 1}, 400), ("PATCH", "upstreams/app/rebalance", {}, 405),
                ("POST", "upstreams/app/rebalance", [], 400), ("POST", "upstreams/app", {}, 405),
                ("PATCH", "upstreams/app/peers/a", {"drain": True, "move": "fast"}, 400),
                ("PATCH", "upstreams/app/peers/a", {"drain": False, "move": "1/s"}, 400)):
            assert site.call(method, path, body, status)["error"]["status"] == status
        assert "usage: limpet rebalance UPSTREAM" in site.run("rebalance").stderr
        assert "usage: limpet servers" in site.run("servers", "--dry-run").stderr
        assert "usage: limpet restore" in site.run("restore", "app", "a", "--move", "1/s").stderr
        assert 'invalid rate "x"' in site.run("drain", "app", "a", "--move", "x").stderr


def test_a_drain_ends_early(servers):
    with Site(servers, "abc", timeout="18s") as site:
        before = site.learn(90)
        done = site.run("drain", "app", "a", "--deadline", "10m", "--move", "100/s")
        assert done.returncode == 0, done.stderr
        peer = site.call("GET", "upstreams/app/peers/a")
        assert (peer["state"], peer["drain_move"], peer["drain_left_ms"] > 500_000) == ("draining", 100, True)
        site.wait_log("is drained: its last session and its last connection have ended")
        after = site.check_all(before)
        assert site.loads() == {"a": 0, "b": 45, "c": 45}
        assert {before[session] for session in moved(before, after)} == {"a"}
        assert site.zone()["moved"] == 30
        assert len(site.log_lines("drains, 30 sessions move to other servers")) == 1


def test_a_drain_of_the_configuration_moves_at_its_rate(servers):
    with Site(servers, "abc", timeout="24s") as site:
        before = site.learn(90)
        site.change("abc", more={"a": "drain=30m move=10/s"})
        wait_until(lambda: site.zone()["moved"] > 0, "the first", patience=40)
        begin = time.monotonic()
        site.wait_log("is drained")
        assert time.monotonic() - begin > 1.5  # 30 of them
        site.check_all(before)


@pytest.mark.parametrize("how", ["reload", "kill", "upgrade", "restart", "die"])
def test_it_goes_on_over_all_that_happens_to_us(servers, how):
    with Site(servers, timeout="40s", rebalance="rebalance rate=20/s idle=14s;") as site:
        before = site.learn(120)
        site.change("abc")
        wait_until(lambda: 5 < site.zone()["moved"], "some to move", patience=40)
        if how == "reload":
            site.reload()
        elif how == "kill":
            for pid in site.workers():
                os.kill(pid, signal.SIGKILL)
        elif how == "upgrade":
            site.change_binary()
        elif how == "restart":
            site.end()
            site.start()
        else:
            site.kill_all()
            site.start()
        site.wait_even("abc")
        site.check_all(before)
        assert site.zone()["active"] == 120
        if how in ("kill", "die"):
            site.forgive()


def test_machines_that_share_sessions(redis):
    idle = "rebalance rate=200/s idle=8s;"
    machines = Machines(redis, timeout="24s", http="proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
                        "proxy_set_header Connection $http_connection;")
    with machines as (one, two):
        values = {name: " ".join(machines.server(server) for server in name) for name in ("ab", "abc")}
        for machine in (one, two):
            machine.change(servers=values["ab"])
        machines.wait_ready()
        homes = machines.spread(100)
        held = [session for session, home in homes.items() if home == "a"][:8]
        clients = {session: Connection(two.port) for session in held}
        for session, client in clients.items():
            assert one.visit(session) == "a"  # so that this machine knows it, too
            assert upgrade(client, cookies=f"id={session}").status == 101
        for machine, more in ((one, idle), (two, "")):
            machine.values["servers"] = values["abc"] + more
            machine.write()
            machine.kill(signal.SIGHUP)  # old workers go on with the connections
        one.wait_log(BEGINS)
        one.wait_log(ENDS)
        for session, client in clients.items():
            assert one.server_of(session) == two.server_of(session) == "a"
            client.send(frame(TEXT, b"hello"))
            assert read_frame(client.stream) == (TEXT, b"hello")
        places = {session: one.server_of(session) for session in homes}
        places = {session: home for session, home in places.items() if home}
        assert list(places.values()).count("c") >= 10
        assert one.visit_all(places) == places
        wait_until(lambda: two.visit_all(places) == places, "the other machine to know")
        for client in clients.values():
            client.close()
