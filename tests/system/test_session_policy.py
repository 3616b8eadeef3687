"""What becomes of a session whose server is down, flaps, is full, is drained, or comes back."""
import hashlib
import json
import threading

import pytest

from client import Connection, get
from daemon import Limpet
from sessions import idle_seconds, two_servers
from waiting import wait_until

CONFIG = """
worker_processes 2;
events { }
http {
    upstream app {
        zone app 64k;
        server 127.0.0.1:{a} route=a fail_timeout=1s {first};
        server 127.0.0.1:{b} route=b fail_timeout=1s;
        {sticky}
        {policy}
    }
    server {
        listen {port};
        keepalive_requests 100000;
        add_header X-Status "$sticky_status" always;
        add_header X-Angie "$upstream_sticky_status" always;
        add_header X-Server "$sticky_server" always;
        add_header X-Age "$sticky_age" always;
        location / { proxy_pass http://app; proxy_next_upstream_tries {tries}; }
        location /status/ { api /status/ write=on; }
    }
}
"""
STICKY = {
    "cookie": "sticky cookie id path=/;",
    "route": "sticky route $arg_id;",
    "learn": "sticky learn create=$upstream_cookie_id lookup=$cookie_id zone=z:64k timeout={timeout} gc_period={gc} header;",
}


@pytest.fixture
def servers(origins):
    yield from two_servers(origins)


class Site:
    """A limpet over the two servers, and one client whose session lives at the first."""

    def __init__(self, servers, kind, policy="", first="", timeout="1h", gc="1s", tries=0, session=True):
        a, b = servers
        self.kind = kind
        sticky = STICKY[kind].replace("{timeout}", timeout).replace("{gc}", gc)
        self.limpet = Limpet(CONFIG, a=a.origin.port, b=b.origin.port, sticky=sticky, policy=policy, first=first,
                             tries=tries)
        self.cookie = None
        if session:
            self.bind("a")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.limpet.__exit__(*error)

    def bind(self, name):
        if self.kind != "learn":
            self.cookie = name
            return
        for number in range(20):
            self.cookie = f"session-{number}"
            if get(self.limpet.port, f"/login?{self.cookie}").text == name:
                return
        raise AssertionError(f"no session came to {name}")

    def visit(self, path="/"):
        if self.kind == "route":
            return get(self.limpet.port, path + (f"?id={self.cookie}" if self.cookie else ""))
        response = get(self.limpet.port, path, cookies={"id": self.cookie} if self.cookie else None)
        if self.kind == "cookie" and response.cookie("id"):
            self.cookie = response.cookie("id")
        return response

    def expect(self, answer, status, angie=None):
        response = self.visit()
        assert (response.text if response.status == 200 else response.status) == answer
        assert response.header("x-status") == status
        if angie is not None:
            assert response.header("x-angie") == angie

    def idle(self):
        return idle_seconds(self.limpet.port, self.cookie)

    def zone(self):
        return json.loads(get(self.limpet.port, "/status/sessions/z").text)

    def call(self, method, path, body=None):
        text = json.dumps(body).encode() if body else b""
        answer = get(self.limpet.port, "/status/" + path, [("Content-Type", "application/json")], method=method, body=text)
        assert answer.status == 200, answer.text

    def until(self, answer):
        wait_until(lambda: self.visit().text == answer, f"the session to be at {answer}")


def stop(server):
    server.origin.stop()


KINDS = ["cookie", "route", "learn"]


@pytest.mark.parametrize("kind", KINDS)
def test_by_default_another_server_takes_over_and_keeps_what_is_learned(servers, kind):
    a, _ = servers
    with Site(servers, kind) as site:
        site.expect("a", "hit", "HIT")
        stop(a)
        site.expect("b", "rebound", "HIT, MISS")
        a.origin.start()
        if kind == "route":  # the client names its server itself
            return site.until("a")
        for _ in range(6):
            site.expect("b", "hit", "HIT")


@pytest.mark.parametrize("kind", ["cookie", "learn"])
def test_temporary_another_server_answers_until_the_own_is_back(servers, kind):
    a, _ = servers
    with Site(servers, kind, "sticky_policy on_down=temporary;") as site:
        for _ in range(2):  # it flaps
            stop(a)
            for _ in range(4):
                site.expect("b", "rebound")
            a.origin.start()
            site.until("a")
            site.expect("a", "hit", "HIT")


@pytest.mark.parametrize("kind", KINDS)
def test_fail_answers_with_the_code_until_the_own_is_back(servers, kind):
    a, _ = servers
    with Site(servers, kind, "sticky_policy on_down=fail=503;") as site:
        stop(a)
        for _ in range(4):
            site.expect(503, "strict")
        site.limpet.wait_log(r"the session's server cannot take the request \(strict\)")
        a.origin.start()
        site.until("a")


@pytest.mark.parametrize("kind", KINDS)
def test_strict_is_502_in_place_of_another_server(servers, kind):
    a, _ = servers
    with Site(servers, kind, "sticky_strict on;") as site:
        site.expect("a", "hit", "HIT")
        stop(a)
        site.expect(502, "strict", "HIT, MISS")
        site.expect(502, "strict", "MISS")
        site.cookie = None
        site.expect("b", "new")  # a new session is not concerned


@pytest.mark.parametrize("kind", ["cookie", "route"])
def test_strict_refuses_an_id_that_names_nobody(servers, kind):
    with Site(servers, kind, "sticky_strict on;") as site:
        site.cookie = "c"
        site.expect(502, "strict", "MISS")


@pytest.mark.parametrize("kind", ["cookie", "learn"])
def test_failback_immediate_returns_with_the_next_request(servers, kind):
    a, b = servers
    with Site(servers, kind, "sticky_policy failback=immediate;") as site:
        stop(a)
        for _ in range(4):
            site.expect("b", "rebound" if kind == "cookie" else site_status(site))
        a.origin.start()
        site.until("a")
        stop(b)  # nothing of b is remembered
        for _ in range(3):
            site.expect("a", "hit", "HIT")


def site_status(site):
    """A learned session moves with its first request; from then on it is at home with the other server."""
    site.moved = getattr(site, "moved", 0) + 1
    return "rebound" if site.moved == 1 else "hit"


def test_failback_idle_returns_after_half_the_timeout_without_a_request(servers):
    a, _ = servers
    with Site(servers, "learn", "sticky_policy failback=idle;", timeout="4s") as site:
        stop(a)
        site.expect("b", "rebound")
        a.origin.start()
        wait_until(lambda: get(site.limpet.port).text == "a", "the server to be used again")
        for _ in range(5):
            site.expect("b", "hit")
        wait_until(lambda: site.idle() > 2, "the session to be idle for half its timeout")
        site.expect("a", "rebound")
        site.expect("a", "hit")


def moved_away(site, a):
    """The session has moved from a, which is down, to b."""
    site.call("PATCH", f"upstreams/app/peers/{a.origin.name}", {"down": True})
    site.expect("b", "rebound")


def stays_at_b(site, a):
    """Also when a, where it came from, is there again."""
    site.call("PATCH", f"upstreams/app/peers/{a.origin.name}", {"down": False})
    for _ in range(3):
        site.expect("b", "hit")


def test_a_session_that_is_forgotten_has_no_way_back(servers):
    """Whoever begins it again begins it elsewhere: its old server knows nothing of that."""
    a, b = servers
    with Site(servers, "learn", "sticky_policy failback=immediate;") as site:
        moved_away(site, a)
        site.call("DELETE", f"sessions/z/{site.cookie}")
        assert site.zone()["active"] == 0, "nor does it take a place"
        site.visit(f"/login?{site.cookie}")
        stays_at_b(site, a)


def test_nor_has_one_that_begins_again_behind_the_sessions_of_its_server(servers):
    a, b = servers
    with Site(servers, "learn", "sticky_policy failback=immediate;") as site:
        moved_away(site, a)
        site.call("DELETE", f"sessions/z?server={b.origin.name}")
        site.visit(f"/login?{site.cookie}")
        stays_at_b(site, a)


def test_a_session_that_is_moved_by_hand_stays_there(servers):
    a, b = servers
    with Site(servers, "learn", "sticky_policy failback=immediate;") as site:
        moved_away(site, a)
        site.call("POST", f"sessions/z/{site.cookie}", {"move": {"to": b.origin.name}})
        stays_at_b(site, a)


@pytest.mark.parametrize("policy", ["on_down=rebind", "on_down=temporary failback=immediate"])
def test_a_failed_session_server_does_not_lose_other_sessions(servers, policy):
    a, _ = servers
    with Site(servers, "learn", f"sticky_policy {policy};") as site:
        at_a = site.cookie
        site.bind("b")
        at_b, site.cookie = site.cookie, at_a
        stop(a)
        site.until("b")
        site.cookie = at_b
        for _ in range(4):
            site.expect("b", "hit", "HIT")


def hold(site, server):
    """Occupies the only place of the server that the session lives at."""
    connection = Connection(site.limpet.port)
    field = "" if site.kind == "route" else f"Cookie: id={site.cookie}\r\n"
    query = f"?id={site.cookie}" if site.kind == "route" else ""
    connection.send(f"GET /held{query} HTTP/1.1\r\nHost: x\r\n{field}Connection: close\r\n\r\n")
    assert server.held.acquire(timeout=20)
    return connection


@pytest.mark.parametrize("kind", KINDS)
def test_full_by_default_another_server_takes_over(servers, kind):
    a, _ = servers
    with Site(servers, kind, first="max_conns=1") as site:
        held = hold(site, a)
        site.expect("b", "busy", "MISS")
        a.go.set()
        assert held.response().text == "a"
        site.expect(*(("a", "hit") if kind == "route" else ("b", "hit")))


@pytest.mark.parametrize("kind", KINDS)
def test_full_fail_answers_with_the_code(servers, kind):
    a, _ = servers
    with Site(servers, kind, "sticky_policy on_busy=fail=429;", first="max_conns=1") as site:
        held = hold(site, a)
        site.expect(429, "busy", "MISS")
        a.go.set()
        assert held.response().text == "a"
        site.expect("a", "hit")


@pytest.mark.parametrize("kind", KINDS)
def test_full_queue_waits_for_the_own_server(servers, kind):
    a, _ = servers
    with Site(servers, kind, "queue 10; sticky_policy on_busy=queue;", first="max_conns=1") as site:
        held = hold(site, a)
        replies = []
        visitor = threading.Thread(target=lambda: replies.append(site.visit()))
        visitor.start()
        own, site.cookie = site.cookie, None
        assert {get(site.limpet.port).text for _ in range(4)} == {"b"}  # others go where there is room
        assert not replies
        a.go.set()
        assert held.response().text == "a"
        visitor.join(20)
        assert replies[0].text == "a"
        assert (replies[0].header("x-status"), replies[0].header("x-angie")) == ("hit", "HIT")
        site.cookie = own
        site.expect("a", "hit")


def test_full_queue_waits_in_vain_no_longer_than_its_timeout(servers):
    a, _ = servers
    with Site(servers, "cookie", "queue 10 timeout=200ms; sticky_policy on_busy=queue;", first="max_conns=1") as site:
        held = hold(site, a)
        site.expect(502, "busy", "MISS")
        a.go.set()
        assert held.response().text == "a"


def test_strict_and_full_is_502(servers):
    a, _ = servers
    with Site(servers, "cookie", "sticky_strict on;", first="max_conns=1") as site:
        held = hold(site, a)
        site.expect(502, "strict", "MISS")
        a.go.set()
        assert held.response().text == "a"


@pytest.mark.parametrize("policy", ["", "sticky_policy on_down=temporary;"])
def test_a_drained_servers_sessions_are_honoured_until_its_time_is_over(servers, policy):
    with Site(servers, "learn", policy) as site:
        site.limpet.values["first"] = "drain=4s"
        site.limpet.reload(CONFIG)
        own, site.cookie = site.cookie, None
        assert {site.visit().text for _ in range(6)} == {"b"}  # no new session
        site.cookie = own
        site.expect("a", "hit", "HIT")
        wait_until(lambda: site.visit().text == "b", "the drain's end")
        site.expect("b", "hit", "HIT")  # moved for good


def test_a_drained_server_is_told_as_the_reason(servers):
    with Site(servers, "cookie", "", first="drain=1ms") as site:
        site.limpet.wait_log(r"\[notice\].* is drained")
        site.expect("b", "drained", "MISS")
        site.expect("b", "hit", "HIT")


@pytest.mark.parametrize("gc, word", [("1h", "expired"), ("1s", "miss")], ids=["kept", "collected"])
def test_words_for_sessions_that_come_and_go(servers, gc, word):
    with Site(servers, "learn", timeout="2s", gc=gc, session=False) as site:
        first = site.visit()
        assert (first.header("x-status"), first.header("x-angie")) == ("new", "NEW")
        assert first.header("x-server") is None and first.header("x-age") is None
        site.cookie = "never-seen"
        response = site.visit()
        assert (response.header("x-status"), response.header("x-angie")) == ("miss", "NEW")
        site.bind("a")
        response = site.visit()
        assert (response.header("x-status"), response.header("x-angie")) == ("hit", "HIT")
        assert response.header("x-server") == f"127.0.0.1:{servers[0].origin.port}"
        assert 0 <= float(response.header("x-age")) < 2
        wait_until(lambda: site.idle() is None and (gc == "1h" or site.zone()["active"] == 0), "its end")
        assert site.visit().header("x-status") == word


@pytest.mark.parametrize("kind", ["cookie", "route"])
def test_words_for_ids_that_clients_bring(servers, kind):
    with Site(servers, kind, session=False) as site:
        response = site.visit()
        assert (response.header("x-status"), response.header("x-angie")) == ("new", "NEW")
        site.cookie = "nobody"
        response = site.visit()
        assert (response.header("x-status"), response.header("x-angie")) == ("miss", "MISS")


def test_a_full_zone_is_told(servers):
    with Site(servers, "learn", session=False) as site:
        site.limpet.values["sticky"] = STICKY["learn"].replace("z:64k", "y:32k session_rotate=off").replace(
            "{timeout}", "1h").replace("{gc}", "1s")
        site.limpet.reload(CONFIG)
        line = next(line for line in site.limpet.run("-t").stderr.splitlines() if "holds " in line)
        capacity = int(line.split("holds ")[1].split()[0])
        with Connection(site.limpet.port) as connection:
            said = [connection.request(f"/login?{number}").header("x-status") for number in range(capacity + 50)]
        assert said[0] == "new" and said[-1] == "full"
        assert capacity * 0.8 <= said.count("new") <= capacity


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


@pytest.mark.parametrize("kind", ["cookie", "route"])
def test_a_secret_hides_the_ids(servers, kind):
    with Site(servers, kind, 'sticky_secret "salt-$host";', session=False) as site:
        site.cookie = md5("a" + "salt-localhost")
        for _ in range(4):
            site.expect("a", "hit", "HIT")
        if kind == "cookie":
            assert site.visit().cookie("id") == md5("a" + "salt-localhost")
        for forged in ("a", md5("a"), md5("a" + "salt-other")):
            site.cookie = forged
            response = site.visit()
            assert (response.header("x-status"), response.header("x-angie")) == ("miss", "MISS")
            site.cookie = forged


def test_a_secret_hashes_the_default_id_too(servers):
    a, b = servers
    config = CONFIG.replace("route=a", "").replace("route=b", "sid=named")
    limpet = Limpet(config, a=a.origin.port, b=b.origin.port, sticky=STICKY["cookie"], policy="sticky_secret s;",
                    first="", tries=0)
    with limpet:
        ids = {reply.text: reply.cookie("id") for reply in (get(limpet.port) for _ in range(8))}
        assert ids == {"a": md5(md5(f"127.0.0.1:{a.origin.port}") + "s"), "b": md5("named" + "s")}


def test_least_sessions_counts_what_is_bound(servers):
    with Site(servers, "learn", "least_sessions;", session=False) as site:
        where = [get(site.limpet.port, f"/login?{number}").text for number in range(20)]
        assert where.count("a") == where.count("b") == 10
        at_a = str(where.index("a"))
        for _ in range(5):
            assert get(site.limpet.port, cookies={"id": at_a}).text == "a"
