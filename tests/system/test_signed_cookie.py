"""sticky cookie … sign=FILE: a value that nobody reads, makes or changes, that ends, and that outlives us."""
import base64
import hashlib
import json
import os
import signal
import string

import pytest

from binaries import ManyMasters
from client import Connection, get
from daemon import Limpet
from machines import write_secret
from waiting import wait_until

CLOCK_LIBRARY = os.environ.get("OTHER_CLOCK_LIBRARY", "")
needs_clock = pytest.mark.skipif(not os.path.exists(CLOCK_LIBRARY), reason="without the library that sets a clock")
ALPHABET = string.ascii_letters + string.digits + "-_"
ONE, TWO, THREE = (f"key-{name}-0123456789abcdef" for name in ("one", "two", "three"))
CONFIG = """
worker_processes 2;
events { }
http {
    upstream app {
        zone app 64k;
        {servers}
        sticky cookie id sign={keys} {more};
        {policy}
    }
    upstream other {
        {servers}
        sticky cookie id sign={keys};
    }
    server {
        listen {port};
        add_header X-Status "$sticky_status" always;
        add_header X-Angie "$upstream_sticky_status" always;
        location / { proxy_pass http://app; }
        location /other { proxy_pass http://other; }
        location /status/ { api /status/ write=on; }
    }
}
"""


class Site(ManyMasters):
    """One machine over servers a and b. `keys`: the lines of its file, which is its own if `file` does not say another."""

    def __init__(self, servers, keys=(ONE,), more="", policy="", file=None, options=""):
        self.file = file
        super().__init__(CONFIG, start=False, keys=file or "signing.keys", more=more, policy=policy,
                         servers=" ".join(f"server 127.0.0.1:{server.port} route={server.name} {options};" for server in servers))
        if file is None:
            self.set_keys(*keys)
        self.start()

    def set_keys(self, *keys):
        write_secret(self.path("signing.keys"), "\n".join(keys).encode() + b"\n")

    def visit(self, value=None, path="/"):
        return get(self.port, path, cookies={"id": value} if value else None)

    def give(self, name, path="/"):
        """A cookie for that server."""
        return wait_until(lambda: (answer := self.visit(path=path)).text == name and answer.cookie("id"), f"a cookie for {name}")

    def expect_hit(self, value, name, renewed=False):
        for _ in range(4):  # both workers, most likely
            answer = self.visit(value)
            assert (answer.text, answer.header("x-status"), answer.header("x-angie")) == (name, "hit", "HIT")
            assert bool(answer.cookie("id")) == renewed
        return answer.cookie("id")

    def expect_void(self, value, status="miss", path="/"):
        """Its client is served, and gets a cookie that is good."""
        answer = self.visit(value, path)
        assert (answer.status, answer.header("x-status"), answer.header("x-angie")) == (200, status, "MISS")
        again = self.visit(answer.cookie("id"), path)
        assert (again.text, again.header("x-status")) == (answer.text, "hit")


@pytest.fixture
def servers(origins):
    return origins("a", "b")


def test_the_value_names_its_server_and_shows_nothing(servers):
    with Site(servers) as site:
        values = {name: [site.give(name) for _ in range(20)] for name in "ab"}
        assert len({*values["a"], *values["b"]}) == 40  # no two are alike
        for name, of_one in values.items():
            for value in of_one:
                site_bytes = base64.urlsafe_b64decode(value + "=")
                for server in servers:
                    address = f"127.0.0.1:{server.port}"
                    for shown in (address, str(server.port), hashlib.md5(address.encode()).hexdigest()):
                        assert shown not in value and shown.encode() not in site_bytes
                assert {len(value), *value} - {75, *ALPHABET} == set()
            site.expect_hit(of_one[0], name)


def test_every_change_of_a_byte_is_noticed(servers):
    with Site(servers) as site, Connection(site.port) as connection:
        value = site.give("a")
        for at, good in enumerate(value):
            wrong = [chr(ord(good) ^ 1 << bit) for bit in range(7)]
            for char in {char for char in wrong if char in ALPHABET} | {"A" if good != "A" else "B"}:
                changed = value[:at] + char + value[at + 1:]
                answer = connection.request(headers=[("Cookie", f"id={changed}")])
                assert answer.header("x-status") == "miss" and answer.cookie("id"), (at, char)
        for size in range(1, len(value)):
            for cut in (value[:size], value[-size:]):
                assert connection.request(headers=[("Cookie", f"id={cut}")]).header("x-status") == "miss", size
        site.expect_hit(value, "a")


def test_bytes_that_are_no_letters_are_noticed(servers):
    with Site(servers) as site:
        value = site.give("a")
        for at, good in enumerate(value):
            for bit in range(8):
                byte = bytes([ord(good) ^ 1 << bit])
                if byte.decode("latin-1") in ALPHABET:
                    continue
                with Connection(site.port) as connection:
                    connection.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: id=" + value[:at].encode() + byte +
                                    value[at + 1:].encode() + b"\r\n\r\n")
                    answer = connection.response()
                assert answer.status == 400 or answer.header("x-status") in ("miss", "new"), (at, byte)


def test_nobody_chooses_a_server(servers):
    with Site(servers) as site:
        address = f"127.0.0.1:{servers[0].port}"
        for guess in ("a", address, hashlib.md5(address.encode()).hexdigest(), hashlib.md5(b"a").hexdigest(), "A" * 75,
                      base64.urlsafe_b64encode(os.urandom(56)).decode().rstrip("="), "x" * 4000, "a=b", '"a"'):
            site.expect_void(guess)


def test_it_is_of_one_upstream(servers):
    with Site(servers) as site:
        ours, theirs = site.give("a"), site.give("a", "/other")
        site.expect_void(theirs)
        site.expect_void(ours, path="/other")
        site.expect_hit(ours, "a")


def at(monkeypatch, seconds, servers, **more):
    """A machine whose clock is so far ahead."""
    with monkeypatch.context() as context:
        context.setenv("LD_PRELOAD", CLOCK_LIBRARY)
        context.setenv("OTHER_CLOCK", str(seconds))
        return Site(servers, **more)


@needs_clock
def test_it_ends_and_a_client_in_use_never_loses_it(servers, monkeypatch):
    with Site(servers, more="ttl=1000s") as now, at(monkeypatch, 50, servers, more="ttl=1000s") as soon, \
            at(monkeypatch, 850, servers, more="ttl=1000s") as later, \
            at(monkeypatch, 1010, servers, more="ttl=1000s") as over, at(monkeypatch, 1700, servers, more="ttl=1000s") as end:
        first = now.give("a")
        soon.expect_hit(first, "a")
        second = later.expect_hit(first, "a", renewed=True)
        over.expect_void(first, "expired")
        end.expect_void(first, "expired")
        end.expect_hit(second, "a", renewed=True)
        now.expect_hit(second, "a", renewed=True)  # a clock that is far behind: as made under a longer ttl


@needs_clock
def test_a_cookie_that_the_browser_forgets_is_renewed_in_time(servers, monkeypatch):
    with Site(servers, more="expires=100s") as now, at(monkeypatch, 15, servers, more="expires=100s") as later:
        value = now.give("a")
        now.expect_hit(value, "a")
        later.expect_hit(value, "a", renewed=True)


def test_keys_change_without_a_client_that_notices(servers):
    with Site(servers) as site:
        by_one = site.give("a")
        site.set_keys(ONE, TWO)
        site.reload()
        site.expect_hit(by_one, "a")
        site.set_keys(TWO, ONE)
        site.reload()
        by_two = site.expect_hit(by_one, "a", renewed=True)
        site.expect_hit(by_two, "a")
        site.set_keys(TWO)
        site.reload()
        site.expect_hit(by_two, "a")
        site.expect_void(by_one)


def test_a_file_that_is_wrong_is_refused_and_the_old_keys_stay(servers):
    with Site(servers) as site:
        value = site.give("b")
        for keys, why in (((ONE, TWO, THREE), "more than 2 keys"), (("short",), "shorter than 16")):
            site.set_keys(*keys)
            checked = site.run("-t")
            assert checked.returncode == 1 and why in checked.stderr and "limpet.conf:8" in checked.stderr
            site.kill(signal.SIGHUP)
            site.wait_log(why)
            site.expect_hit(value, "b")
        os.unlink(site.path("signing.keys"))
        assert "No such file" in site.run("-t").stderr
        site.set_keys(ONE)
        os.chmod(site.path("signing.keys"), 0o644)
        assert "everybody may read" in site.run("-t").stderr


def test_keys_are_shown_nowhere(servers):
    with Site(servers, keys=(ONE, TWO)) as site:
        value = site.give("a")
        site.expect_void(value[:-1])
        shown = site.run("-T").stdout + site.run("-t").stderr + site.log()
        for page in ("", "upstreams/app", f"explain?upstream=app&cookie={value}"):
            shown += site.visit(path="/status/" + page).text
        assert "signing.keys" in shown
        for key in (ONE, TWO):
            assert key not in shown and hashlib.sha256(f"limpet cookie key{key}".encode()).hexdigest() not in shown


def test_it_outlives_us(servers):
    with Site(servers) as site:
        values = {name: site.give(name) for name in "ab"}

        def check():
            for name, value in values.items():
                site.expect_hit(value, name)

        site.reload()
        check()
        killed = site.workers()
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(site.workers()) == 2 and not set(killed) & set(site.workers()), "new workers")
        check()
        site.change_binary()
        check()
        site.end(signal.SIGQUIT) if site.pid == site.process.pid else site._end_daemon()
        site.start()
        check()
        site.kill_all()
        site.start()
        check()
        site.forgive()


def test_machines_of_one_file_know_each_others_cookies(servers, tmp_path):
    os.chmod(tmp_path, 0o755)
    shared = write_secret(str(tmp_path / "keys"), f"{ONE}\n".encode())
    with Site(servers, file=shared) as one, Site(servers[::-1], file=shared) as two, Site(servers, keys=(TWO,)) as foreign:
        for begin, end in ((one, two), (two, one)):
            for name in "ab":
                value = begin.give(name)
                end.expect_hit(value, name)
                foreign.expect_void(value)


# Servers

def test_a_server_that_is_gone_or_another_one(servers):
    a, b = servers
    with Site(servers) as site:
        value = site.give("a")
        for these in (f"server 127.0.0.1:{b.port} route=b;",  # gone
                      f"server 127.0.0.1:{a.port} route=new; server 127.0.0.1:{b.port} route=b;",  # another one at its address
                      f"server 127.0.0.1:{a.port}; server 127.0.0.1:{b.port} route=b;"):
            site.values["servers"] = these
            site.reload(CONFIG)
            site.expect_void(value)
        site.values["servers"] = f"server 127.0.0.1:{b.port} route=a; server 127.0.0.1:{a.port} route=b;"
        site.reload(CONFIG)
        site.expect_hit(value, "b")  # the configuration says that server a is there now


def test_an_address_to_which_another_name_leads(servers):
    a, b = servers
    with Site(servers) as site:
        site.values["servers"] = f"server 127.0.0.1:{a.port}; server 127.0.0.1:{b.port};"
        site.reload(CONFIG)
        value = site.give("a")
        site.expect_hit(value, "a")
        site.values["servers"] = f"server localhost:{a.port}; server 127.0.0.1:{b.port};"
        site.reload(CONFIG)
        site.expect_void(value)


def test_one_that_is_down_hands_its_sessions_over(servers):
    with Site(servers, options="fail_timeout=1s") as site:
        value = site.give("a")
        servers[0].stop()
        answer = site.visit(value)
        assert (answer.text, answer.header("x-status")) == ("b", "rebound")
        servers[0].start()
        site.expect_hit(answer.cookie("id"), "b")


@pytest.mark.parametrize("policy", ["sticky_policy on_down=temporary;", "sticky_policy failback=immediate;"])
def test_one_stand_in_keeps_the_cookie_as_it_is(origins, policy):
    servers = origins(*"abcde")
    with Site(servers, policy=policy, options="fail_timeout=1s") as site, Site(servers[::-1], policy=policy) as other:
        values = [site.give("a") for _ in range(3)]
        servers[0].stop()
        answers = [site.visit(value) for value in values * 5]
        assert {(answer.header("x-status"), answer.cookie("id")) for answer in answers} == {("rebound", None)}
        assert len({answer.text for answer in answers}) == 1  # whatever value names the server
        mine = other.give("b")
        assert mine
        servers[0].start()
        wait_until(lambda: site.visit(values[0]).text == "a", "the own server")
        site.expect_hit(values[0], "a")


def test_strict_refuses_servers_not_values(servers):
    a, b = servers
    with Site(servers, policy="sticky_strict on;") as site:
        value = site.give("a")
        site.expect_void(value[:-1])  # no session of ours: whoever brings it begins one
        a.stop()
        assert (site.visit(value).status, site.visit(value).header("x-status")) == (502, "strict")
        site.values["servers"] = f"server 127.0.0.1:{b.port} route=b;"
        site.reload(CONFIG)
        assert (site.visit(value).status, site.visit(value).header("x-status")) == (502, "strict")


def test_a_drained_server_keeps_its_own_and_gets_no_new_ones(servers):
    with Site(servers) as site:
        value = site.give("a")

        def drain(**body):
            answer = get(site.port, "/status/upstreams/app/peers/a", method="PATCH", body=json.dumps(body).encode(),
                         headers=[("Content-Type", "application/json")])
            assert answer.status == 200, answer

        drain(drain=True)
        site.expect_hit(value, "a")
        assert {site.visit().text for _ in range(8)} == {"b"}
        drain(drain=False)
        drain(drain=True, deadline="1ms")
        moved = wait_until(lambda: (answer := site.visit(value)).header("x-status") == "drained" and answer, "the end")
        site.expect_hit(moved.cookie("id"), "b")


def test_explain_says_why(servers):
    with Site(servers) as site:
        value = site.give("a")

        def explain(cookie):
            return site.visit(path=f"/status/explain?upstream=app&cookie={cookie}").text

        assert "names 127.0.0.1" in explain(value)
        assert "is not signed with a key of this upstream" in explain(value[:-2] + "AA")
        site.values["servers"] = f"server 127.0.0.1:{servers[1].port} route=b;"
        site.reload(CONFIG)
        assert "the cookie's server is not in this upstream" in explain(value)
