"""Where sessions begin: a login form and its answer, by many users at once, before two servers and three."""
import os
import re
import threading
from collections import Counter

import pytest

from client import get
from daemon import Limpet
from origin import Reply

CONFIG = """
worker_processes {workers};
events { }
http {
    upstream app {
        {zone}
        {servers}
        {method}
        sticky learn create=$upstream_cookie_id lookup=$cookie_id zone=z:64k timeout=1h header;
    }
    server { listen {port}; location / { proxy_pass http://app; } }
}
"""
USERS = 40


class Application:
    """A form at /form; /login opens a session. With a barrier, logins are answered when all have come."""

    def __init__(self, origin):
        self.origin = origin
        self.barrier = None
        origin.respond = self.respond

    def respond(self, request):
        if request.target != "/login":
            return Reply(b"form")
        if self.barrier:
            self.barrier.wait(20)
        return Reply(self.origin.name.encode(), headers=[("Set-Cookie", f"id={os.urandom(8).hex()}")])


@pytest.fixture
def applications(origins):
    return lambda count: [Application(origin) for origin in origins(*"abc"[:count])]


def site(applications, method="least_sessions;", workers=3, zone="zone app 64k;"):
    servers = " ".join(f"server 127.0.0.1:{application.origin.port};" for application in applications)
    config = CONFIG.replace("{workers}", str(workers))
    return Limpet(config, servers=servers, method=method, zone=zone)


def login(limpet):
    assert get(limpet.port, "/form").text == "form"
    return get(limpet.port, "/login", method="POST", body=b"name=x").text


def at_once(count, what):
    """The results of so many threads."""
    results = []
    threads = [threading.Thread(target=lambda: results.append(what())) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def spread(where, names):
    counts = Counter(where)
    return max(counts[name] for name in names) - min(counts[name] for name in names)


@pytest.mark.parametrize("zone", ["zone app 64k;", ""])
@pytest.mark.parametrize("count", [2, 3])
def test_users_who_come_one_after_another(applications, count, zone):
    with site(applications(count), zone=zone) as limpet:
        assert spread([login(limpet) for _ in range(USERS)], "abc"[:count]) <= 1


@pytest.mark.parametrize("count", [2, 3])
def test_users_who_come_at_once(applications, count):
    """Forms under way count as sessions that may begin, so that it is not exact; round robin gives 39 to 1."""
    with site(applications(count)) as limpet:
        where = [name for _ in range(USERS // 8) for name in at_once(8, lambda: login(limpet))]
        assert len(where) == USERS and spread(where, "abc"[:count]) <= 6


def test_logins_of_one_moment_know_of_each_other(applications):
    """One server has six sessions more; 18 logins that wait for each other's answers make up for that, and no more."""
    both = applications(2)
    second = f"server 127.0.0.1:{both[1].origin.port}"
    with site(both) as limpet:
        config = open(limpet.path("limpet.conf")).read()
        limpet.reload(config.replace(second, second + " down"))
        before = [login(limpet) for _ in range(6)]
        limpet.reload(config)
        both[0].barrier = both[1].barrier = threading.Barrier(18)
        where = at_once(18, lambda: get(limpet.port, "/login", method="POST").text)
        assert Counter(before + where) == {"a": 12, "b": 12}


def test_a_check_of_the_configuration_says_so(applications):
    both = applications(2)
    for method, noticed in (("", True), ("least_conn;", True), ("least_sessions;", False), ("ip_hash;", False)):
        with site(both, method=method) as limpet:
            said = limpet.run("-t").stderr
            notice = re.search(r'\[notice\] upstream "app" learns sessions, but its method spreads requests: '
                               r'"least_sessions" spreads sessions in .*limpet.conf:5', said)
            assert bool(notice) == noticed, said
            assert "[notice]" not in limpet.run("-t", "-q").stderr
            limpet.write(CONFIG.replace("{workers}", "3").replace("create=$upstream_cookie_id", "create=$cookie_id"))
            assert "[notice]" not in limpet.run("-t").stderr, "clients name their sessions: they begin with the first request"
