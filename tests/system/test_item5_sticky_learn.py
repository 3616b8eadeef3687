"""CONFIGS item 5: sticky learn, with every parameter."""
import os
import signal

import pytest

from client import get
from daemon import Limpet, alive
from origin import Reply
from waiting import wait_until

CONFIG = """
worker_processes 4;
events { }
http {
    upstream backend {
        server 127.0.0.1:{a};
        server 127.0.0.1:{b};
        sticky learn
            create=$upstream_cookie_examplecookie
            lookup=$cookie_examplecookie
            zone=client_sessions:1m
            timeout=1h
            cookie_max_size=256
            gc_period=5m{more};
    }
    server {
        listen {port};
        location / { proxy_pass http://backend; }
    }
}
"""


def teacher(request, name):
    """Sets the session cookie that the client asks for in the target: /login?ID."""
    if request.target.startswith("/login?"):
        return Reply(name.encode(), headers=[("Set-Cookie", f"examplecookie={request.target[7:]}; Path=/")])
    return Reply(name.encode())


@pytest.fixture
def servers(origins):
    pair = origins("a", "b")
    for origin in pair:
        origin.respond = lambda request, name=origin.name: teacher(request, name)
    return pair


def start(servers, more="", **options):
    a, b = servers
    return Limpet(CONFIG, a=a.port, b=b.port, more=more, **options)


def login(limpet, session):
    return get(limpet.port, f"/login?{session}").text


def visit(limpet, session):
    return get(limpet.port, cookies={"examplecookie": session}).text


def learn_some(limpet, count=24):
    return {f"session-{i}": login(limpet, f"session-{i}") for i in range(count)}


def all_kept(limpet, sessions):
    return {session: visit(limpet, session) for session in sessions} == sessions


def test_every_worker_knows_a_learned_session(servers):
    with start(servers) as limpet:
        sessions = learn_some(limpet)
        assert set(sessions.values()) == {"a", "b"}
        for _ in range(4):
            assert all_kept(limpet, sessions)


def test_an_unknown_session_is_balanced(servers):
    with start(servers) as limpet:
        assert {visit(limpet, "never-seen") for _ in range(12)} == {"a", "b"}


def test_a_key_longer_than_cookie_max_size_is_not_learned(servers):
    with start(servers) as limpet:
        fits, long = "x" * 256, "y" * 257
        where = login(limpet, fits)
        assert {visit(limpet, fits) for _ in range(8)} == {where}
        login(limpet, long)
        assert {visit(limpet, long) for _ in range(12)} == {"a", "b"}
        line, = limpet.wait_log(r"\[warn\].*client_sessions")
        assert "identifiers longer than cookie_max_size=256 were not looked up or learned" in line
        login(limpet, long)
        limpet.reload()
        assert len(limpet.log_lines("cookie_max_size")) == 1


def test_any_length_is_learned_unless_it_is_limited(servers):
    """Encrypted sessions (Laravel, Rails, Flask, Keycloak) travel in cookies of some kilobytes."""
    a, b = servers
    config = CONFIG.replace("cookie_max_size=256", "").replace("location / {", "location / { proxy_buffer_size 16k;")
    with Limpet(config, a=a.port, b=b.port, more="") as limpet:
        for length in (257, 1000, 4000, 7500):
            session = "s" * length
            where = login(limpet, session)
            assert {visit(limpet, session) for _ in range(8)} == {where}


def test_sessions_survive_reloads(servers):
    with start(servers) as limpet:
        sessions = learn_some(limpet)
        for _ in range(3):
            limpet.reload()
            assert all_kept(limpet, sessions)


def test_sessions_survive_another_order_of_servers_and_another_size(servers):
    with start(servers) as limpet:
        sessions = learn_some(limpet)
        limpet.values["a"], limpet.values["b"] = limpet.values["b"], limpet.values["a"]
        limpet.reload(CONFIG.replace("client_sessions:1m", "client_sessions:2m"))
        assert all_kept(limpet, sessions)


def test_sessions_survive_a_killed_worker(servers):
    with start(servers) as limpet:
        sessions = learn_some(limpet)
        for victim in limpet.workers():
            os.kill(victim, signal.SIGKILL)
        limpet.wait_log(r"exited on signal 9", count=4)
        wait_until(lambda: len(limpet.workers()) == 4, "the workers to be replaced")
        assert all_kept(limpet, sessions)


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGTERM, signal.SIGKILL])
def test_sessions_survive_a_restart(servers, how):
    with start(servers) as limpet:
        sessions = learn_some(limpet)
        workers = limpet.workers()
        limpet.kill(how)
        limpet.process.wait(20)
        wait_until(lambda: not [pid for pid in workers if alive(pid)], "the workers to end")
        if how == signal.SIGKILL:
            os.unlink(limpet.path("limpet.pid"))
        limpet.start()
        assert all_kept(limpet, sessions)


def test_a_dead_servers_sessions_go_elsewhere_and_are_learned_there(servers):
    a, b = servers
    with start(servers) as limpet:
        sessions = learn_some(limpet)
        a.stop()
        mine = next(session for session, where in sessions.items() if where == "a")
        assert visit(limpet, mine) == "b"
        assert get(limpet.port, f"/login?{mine}", cookies={"examplecookie": mine}).text == "b"
        a.start()
        assert {visit(limpet, mine) for _ in range(6)} == {"b"}


FULL = """
            session_rotate{rotate}
            fill_limit_minor_log=75%
            fill_limit_major_log=85%
            fill_limit_crit_log=95%"""


def fill(limpet, count):
    for i in range(count):
        login(limpet, f"filler-{i}")


def capacity(limpet):
    line = next(line for line in limpet.run("-t").stderr.splitlines() if "client_sessions" in line)
    return int(line.split("holds ")[1].split()[0])


def small(more):
    return CONFIG.replace("client_sessions:1m", "client_sessions:32k").replace("{more}", more)


def test_each_fill_level_is_logged_once(servers):
    a, b = servers
    with Limpet(small(FULL.replace("{rotate}", "")), a=a.port, b=b.port) as limpet:
        size = capacity(limpet)
        fill(limpet, size * 70 // 100)
        assert not limpet.log_lines(r"\[(warn|error|crit)\].*client_sessions")
        for i, level in ((80, "warn"), (90, "error"), (98, "crit")):
            fill(limpet, size * i // 100)
            limpet.wait_log(rf"\[{level}\].*client_sessions")
        for level in ("warn", "error", "crit"):
            assert len(limpet.log_lines(rf"\[{level}\].*client_sessions")) == 1


def test_a_full_table_gives_up_its_oldest_or_refuses(servers):
    a, b = servers
    for rotate, new_is_kept in ((" ", True), ("=off", False)):
        with Limpet(small(FULL.replace("{rotate}", rotate)), a=a.port, b=b.port) as limpet:
            fill(limpet, capacity(limpet) * 130 // 100)
            where = login(limpet, "newcomer")
            answers = {visit(limpet, "newcomer") for _ in range(12)}
            assert answers == ({where} if new_is_kept else {"a", "b"})
