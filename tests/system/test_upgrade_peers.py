"""SIGUSR2: while the old and the new binary run, they think the same of every server, whichever of them has learned it."""
import json

import pytest

from binaries import Binaries
from client import Connection, get
from daemon import Limpet
from origin import Reply
from waiting import wait_until

CONFIG = """
events { }
http {
    upstream app {
        zone app 64k;
        server 127.0.0.1:{a} fail_timeout={patience};
        server 127.0.0.1:{b} fail_timeout={patience};
        sticky learn create=$upstream_cookie_id lookup=$cookie_id zone=sessions:64k header;
    }
    server {
        listen {port};
        proxy_next_upstream error timeout invalid_header;
        location / { proxy_pass http://app; }
        location /status/ { api /status/ write=on; }
    }
}
"""
PEER = "/status/upstreams/app/peers/127.0.0.1:"
DRAINS = ["draining", "drained"]  # there may be nothing left to wait for
JSON = [("Content-Type", "application/json")]


def login(name):
    return lambda request: Reply(name.encode(), headers=[("Set-Cookie", f"id={name}")])


@pytest.fixture
def both(origins, request):
    """`param`: fail_timeout."""
    a, b = origins("a", "b")
    a.respond, b.respond = login("a"), login("b")
    with Binaries(Limpet(CONFIG, workers=1, a=a.port, b=b.port, patience=getattr(request, "param", "60s")), workers=1) as made:
        made.a, made.b = a, b
        yield made


def ask(both, **cookies):
    return get(both.limpet.port, "/", cookies=cookies).text


def peer_b(both, connection=None):
    path = f"{PEER}{both.b.port}"
    return json.loads((connection.request(path) if connection else get(both.limpet.port, path)).text)


def patch_b(both, connection, **what):
    body = json.dumps(what).encode()
    assert connection.request(f"{PEER}{both.b.port}", method="PATCH", body=body, headers=JSON).status == 200


def fail_b(both):
    both.b.respond = lambda request: Reply(raw=b"", close=True)
    wait_until(lambda: ask(both) == "a" and both.limpet.log_lines("temporarily disabled"), "b to have failed")


def held_at_b(both, gate):
    """Requests, of which one tries whether b is back: it is under way there, and all others have been answered by a."""
    def respond(request):
        gate(request)
        return login("b")(request)

    both.b.respond = respond
    connections = []

    def has_come():
        connections.append(Connection(both.limpet.port))
        connections[-1].send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return gate.waiting.acquire(timeout=0.05)

    wait_until(has_come, "b to be tried")
    return connections


@pytest.mark.parametrize("both", ["3s"], indirect=True)
def test_a_server_that_the_old_binary_found_back_is_not_taken_for_failed_by_the_new_one(both, gate):
    fail_b(both)
    held = held_at_b(both, gate)
    both.upgrade()
    gate.opened.set()
    assert sorted(connection.response().text for connection in held)[-1] == "b"  # its session begins there, in the old binary
    both.b.respond = login("b")
    both.rest()
    assert [ask(both, id="b") for _ in range(4)] == 4 * ["b"]


def test_a_failure_that_one_has_seen_holds_in_both(both):
    both.upgrade()
    both.rest()
    fail_b(both)
    before = both.b.connections
    both.end(both.new)
    wait_until(lambda: len(both.old_workers()) == 1, "the old worker to be back")
    assert {ask(both) for _ in range(4)} == {"a"} and both.b.connections == before


@pytest.mark.parametrize("what, states", [({"drain": True}, DRAINS), ({"down": True}, ["down"])])
def test_what_the_old_binary_is_told_after_the_new_one_has_begun_holds_in_both(both, what, states):
    with Connection(both.limpet.port) as old:
        assert peer_b(both, old)["state"] == "up"
        both.upgrade()
        patch_b(both, old, **what)
    both.rest()
    assert peer_b(both)["state"] in states
    assert {ask(both) for _ in range(4)} == {"a"}
    both.end_old()
    assert peer_b(both)["state"] in states


def test_what_the_new_binary_is_told_holds_when_the_old_one_goes_on(both):
    both.upgrade()
    both.rest()
    with Connection(both.limpet.port) as new:
        patch_b(both, new, drain=True)
    both.end(both.new)
    wait_until(lambda: len(both.old_workers()) == 1, "the old worker to be back")
    assert peer_b(both)["state"] in DRAINS


def test_a_drain_that_was_ended_while_both_ran_stays_ended(both):
    with Connection(both.limpet.port) as old:
        patch_b(both, old, drain=True)
        both.upgrade()
        patch_b(both, old, drain=False)
    both.rest()
    assert peer_b(both)["state"] == "up"
