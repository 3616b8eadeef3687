"""While a session's own server is away it has one stand-in: in every worker, after a reload, on every machine."""
import json
import threading

import pytest

from client import get
from daemon import Limpet
from origin import Reply
from waiting import wait_until

CONFIG = """
worker_processes 2;
events { }
http {
    upstream app {
        {servers}
        {sticky}
        {policy}
    }
    server {
        listen {port};
        add_header X-Status "$sticky_status" always;
        location / { proxy_pass http://app; }
    }
}
"""
STICKY = {
    "cookie": "sticky cookie id;",
    "route": "sticky route $cookie_id;",
    "learn": "sticky learn create=$upstream_cookie_id lookup=$cookie_id zone=z:64k timeout=1h header;",
}
WAYS = [(kind, "sticky_policy on_down=temporary;") for kind in STICKY] + [
    (kind, "sticky_policy failback=immediate;") for kind in ("cookie", "route")]
VISITS = 24
NAMES = "abcde"


def respond(name):
    def answer(request):
        path, _, query = request.target.partition("?")
        return Reply(name.encode(), headers=[("Set-Cookie", f"id={query}")] if path == "/login" else [])
    return answer


@pytest.fixture
def five(origins):
    servers = origins(*NAMES)
    for server in servers:
        server.respond = respond(server.name)
    return {server.name: server for server in servers}


def site(five, kind, policy, order=NAMES, fail_timeout="2s", **more):
    servers = " ".join(f"server 127.0.0.1:{five[name].port} route={name} fail_timeout={fail_timeout} {more.get(name, '')};"
                       for name in order)
    return Limpet(CONFIG, servers=servers, sticky=STICKY[kind], policy=policy)


def begin(limpet, kind, five):
    """A session at server a; its cookie."""
    if kind != "learn":
        return "a"
    wait_until(lambda: get(limpet.port, "/login?session-1").text == "a", "a session at a")
    return "session-1"


def stand_ins(limpet, cookie):
    """Who answers a session's requests, each on a connection of its own."""
    answers = [get(limpet.port, cookies={"id": cookie}) for _ in range(VISITS)]
    assert {(answer.status, answer.header("x-status")) for answer in answers} == {(200, "rebound")}
    return {answer.text for answer in answers}


@pytest.mark.parametrize("kind, policy", WAYS)
def test_it_is_one_and_the_same_until_the_own_server_is_back(five, kind, policy):
    with site(five, kind, policy) as limpet, site(five, kind, policy, order="ecbda") as other_machine:
        cookies = {machine: begin(machine, kind, five) for machine in (limpet, other_machine)}
        five["a"].stop()
        stand_in, = stand_ins(limpet, cookies[limpet])
        assert stand_in != "a"
        limpet.reload()
        assert stand_ins(limpet, cookies[limpet]) == {stand_in}
        assert stand_ins(other_machine, cookies[other_machine]) == {stand_in}
        five["a"].start()
        wait_until(lambda: get(limpet.port, cookies={"id": cookies[limpet]}).text == "a", "the session at its own server")

        five["a"].stop()
        five[stand_in].stop()
        second, = stand_ins(limpet, cookies[limpet])
        assert second not in ("a", stand_in)


def test_sessions_of_a_learning_upstream_are_shared_among_the_others(five):
    with site(five, "learn", "sticky_policy on_down=temporary;") as limpet:
        mine = []
        for number in range(200):
            if get(limpet.port, f"/login?user-{number}").text == "a":
                mine.append(f"user-{number}")
        five["a"].stop()
        where = [get(limpet.port, cookies={"id": cookie}).text for cookie in mine]
        assert len(mine) > 20 and set(where) == set("bcde")
        assert [get(limpet.port, cookies={"id": cookie}).text for cookie in mine] == where


@pytest.mark.parametrize("busy, expected", [("rebind", "another"), ("fail=429", 429), ("queue", "waits")])
def test_one_that_is_full_follows_on_busy(five, busy, expected):
    more = {name: "max_conns=1" for name in NAMES if name != "a"}
    policy = f"zone app 64k; queue 9 timeout=20s; sticky_policy on_down=temporary on_busy={busy};"
    arrived, leave = threading.Event(), threading.Event()
    with site(five, "route", policy, **more) as limpet:
        five["a"].stop()
        stand_in, = stand_ins(limpet, "a")
        plain = five[stand_in].respond

        def hold(request):
            if request.target == "/held":
                arrived.set()
                leave.wait(20)
            return plain(request)

        five[stand_in].respond = hold
        holder = threading.Thread(target=get, args=(limpet.port, "/held"), kwargs={"cookies": {"id": stand_in}})
        holder.start()
        try:
            assert arrived.wait(20)
            if expected == "waits":
                threading.Timer(0.3, leave.set).start()
            answer = get(limpet.port, cookies={"id": "a"})
        finally:
            leave.set()
            holder.join()
        if expected == "another":
            assert answer.status == 200 and answer.text not in ("a", stand_in)
        elif expected == "waits":
            assert (answer.status, answer.text) == (200, stand_in)
        else:
            assert (answer.status, answer.header("x-status")) == (expected, "busy")


def test_explain_names_it(five):
    policy = "zone app 64k; sticky_policy on_down=temporary;"
    with site(five, "cookie", policy, fail_timeout="60s") as limpet:
        limpet.reload(CONFIG.replace("location / ", "location /status/ { api /status/; } location / "))
        five["a"].stop()
        stand_in, = stand_ins(limpet, "a")
        explained = json.loads(get(limpet.port, "/status/explain?upstream=app&cookie=a").text)
        assert explained["server"] == f"127.0.0.1:{five[stand_in].port}"
        assert f"127.0.0.1:{five[stand_in].port} stands in; the session stays where it is" in json.dumps(explained)
