"""SIGUSR2: limits and counters of the old binary are those of the new one."""
import json
import os
import re
import signal

import pytest

from binaries import Binaries, children
from client import Connection, get
from daemon import Limpet
from waiting import wait_until
from websocket import TEXT, frame, read_frame, upgrade

CONFIG = """
events { }
http {
    limit_conn_zone $arg_key zone=places:1m;
    limit_req_zone $arg_key zone=rate:{size} rate=1r/m;
    upstream app { zone app 64k; server 127.0.0.1:{origin} weight=3; }
    upstream one { zone one 64k; server 127.0.0.1:{origin} max_conns=1; }
    server {
        listen {port};
        location /conn { limit_conn places 1; limit_conn_status 429; proxy_pass http://app; }
        location /req { limit_req zone=rate; try_files /none @passed; }
        location /probe { limit_conn places 1; limit_conn_status 429; try_files /none @passed; }
        location @passed { return 200 ok; }
        location /app { proxy_pass http://app; }
        location /one { proxy_pass http://one; }
        location /ws { proxy_pass http://app; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }
        location /stub { stub_status; }
        location /status/ { api /status/ write=on; }
    }
}
"""


@pytest.fixture
def both(origins, gate):
    (origin,) = origins("gate", respond=gate)
    with Binaries(Limpet(CONFIG, workers=2, origin=origin.port, size="1m"), workers=2) as made:
        yield made


def rated(both, key):
    return get(both.limpet.port, f"/req?key={key}").status


PLACE = "/conn?key=a"  # the only one of its key
CONNECTION = "/one"    # the only one to its server


def hold(both, gate, target):
    """A request under way at the origin, which has the only place or connection there is."""
    connection = Connection(both.limpet.port)
    connection.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert gate.waiting.acquire(timeout=20)
    return connection


def hold_in(holder, both, gate, target):
    """A request under way in the old or the new binary while both run; the new one alone serves if it has it."""
    if holder == "old":
        held = hold(both, gate, target)
        both.upgrade()
    else:
        both.upgrade()
        both.rest()
        held = hold(both, gate, target)
    return held


def crash(victim, both):
    """And until the other one serves."""
    both.crash(getattr(both, victim))
    both.limpet.wait_log("the old binary has ended" if victim == "old" else r"new binary process \d+ has ended")
    if victim == "new":
        wait_until(lambda: len(both.old_workers()) == 2, "the old workers to be back")


def probe(both):
    return get(both.limpet.port, "/probe?key=a").status


def wait_free(both):
    wait_until(lambda: probe(both) == 200, "the place to be free")


def zone_files(pid):
    """The files in memory without a name that the process has open."""
    folder = f"/proc/{pid}/fd"
    links = [os.readlink(os.path.join(folder, name)) for name in os.listdir(folder)]
    return sorted(link for link in links if "memfd:limpet" in link)


def test_who_was_refused_is_refused_by_the_new_binary(both):
    assert [rated(both, "a"), rated(both, "a")] == [200, 503]
    both.upgrade()
    both.rest()
    assert rated(both, "a") == 503
    assert [rated(both, "b"), rated(both, "b")] == [200, 503]
    both.end_old()
    assert [rated(both, "a"), rated(both, "b"), rated(both, "c")] == [503, 503, 200]


def test_while_both_run_there_is_one_rate_and_it_stays_with_the_old_one(both):
    both.upgrade()
    assert sorted(rated(both, "a") for _ in range(12)) == [200] + 11 * [503]
    both.rest()
    assert rated(both, "b") == 200  # by the new one
    both.end(both.new)
    wait_until(lambda: len(both.old_workers()) == 2, "the old workers to be back")
    assert [rated(both, "a"), rated(both, "b"), rated(both, "c")] == [503, 503, 200]


def test_twice(both):
    for key in "ab":
        assert rated(both, key) == 200
        both.upgrade()
        assert zone_files(both.new) == zone_files(both.old), "all are taken, nothing more is open"
        both.end(both.old)
        both.limpet.wait_log("the old binary has ended", "ab".index(key) + 1)
        both.old = both.new
    assert [rated(both, key) for key in "abc"] == [503, 503, 200]


def test_a_zone_of_another_size_begins_anew(both):
    assert [rated(both, "a"), rated(both, "a")] == [200, 503]
    both.limpet.values["size"] = "2m"
    both.limpet.write(CONFIG)
    both.upgrade()
    both.limpet.wait_log(r'\[notice\].* limit_req "rate" begins anew: the old binary\'s has 1048576 bytes, not 2097152')
    assert len(zone_files(both.new)) == 3, "what was not taken is closed"  # rate, places, connections
    both.end_old()
    assert [rated(both, "a"), rated(both, "a")] == [200, 503]
    assert not both.limpet.log_lines("places.*begins anew")


def test_a_place_of_the_old_binary_counts_in_the_new_one_until_it_is_given_back(both, gate):
    held = hold_in("old", both, gate, PLACE)
    os.kill(both.old, signal.SIGWINCH)  # the old workers end when the request has
    wait_until(lambda: len(both.old_workers()) < 2, "the idle worker to end")
    assert [probe(both) for _ in range(4)] == 4 * [429]
    gate.opened.set()
    assert held.response().status == 200
    wait_free(both)
    both.end_old()
    assert probe(both) == 200


@pytest.mark.parametrize("victim", ["old", "new"])
def test_a_killed_binary_leaves_no_place_taken(both, gate, victim):
    held = hold_in(victim, both, gate, PLACE)
    assert probe(both) == 429
    crash(victim, both)
    wait_free(both)
    held.close()


def test_a_place_of_the_one_that_stays_stays_taken(both, gate):
    held = hold_in("new", both, gate, PLACE)
    both.end_old()
    assert probe(both) == 429
    gate.opened.set()
    assert held.response().status == 200
    wait_free(both)


def test_counters_go_on(both, gate):
    gate.opened.set()
    for _ in range(10):
        assert get(both.limpet.port, "/app").status == 200

    def connections():
        return json.loads(get(both.limpet.port, "/status/").text)["connections"]

    def peer():
        page = json.loads(get(both.limpet.port, "/status/upstreams/app").text)
        (peer,) = page["peers"]
        return {name: peer[name] for name in ("requests", "responses", "sent", "received")} | {"traffic": page["traffic"]}

    def incidents():
        return json.loads(get(both.limpet.port, "/status/").text)["incidents"]

    # A request counts at its end, which may come after its answer.
    wait_until(lambda: peer()["requests"] == peer()["traffic"]["requests"] == 10, "all ten to be counted")
    os.kill(both.old_workers()[0], signal.SIGKILL)
    wait_until(lambda: incidents()["worker_deaths"]["signal"] == 1 and len(both.old_workers()) == both.worker_count, "another worker")
    before, served = connections(), peer()
    both.upgrade()
    both.end_old()
    after = connections()
    for name in ("accepted", "handled", "requests"):
        assert after[name] > before[name], name
    assert after["active"] == 1, "gauges are of this binary alone"
    assert peer() == served and served["requests"] == served["traffic"]["requests"] == 10
    assert incidents()["worker_deaths"]["signal"] == 1
    stub = [int(number) for number in re.findall(r"\d+", get(both.limpet.port, "/stub").text)]
    assert stub[1] > after["accepted"] and stub[3] > after["requests"]


def one(both):
    return get(both.limpet.port, CONNECTION).status


def peer_of(both, upstream="app"):
    (peer,) = json.loads(get(both.limpet.port, f"/status/upstreams/{upstream}").text)["peers"]
    return peer


def drain(both, upstream):
    address = f"127.0.0.1:{both.limpet.values['origin']}"
    for body in (b'{"drain": false}', b'{"drain": true}'):
        assert get(both.limpet.port, f"/status/upstreams/{upstream}/peers/{address}", method="PATCH", body=body,
                   headers=[("Content-Type", "application/json")]).status == 200


@pytest.mark.parametrize("holder", ["old", "new"])
def test_max_conns_is_one_limit_of_both(both, gate, holder):
    held = hold_in(holder, both, gate, CONNECTION)
    if holder == "new":
        os.kill(both.old, signal.SIGHUP)  # its workers are back, beside the new ones
        wait_until(lambda: len(both.old_workers()) == 2, "the old workers")
    assert [one(both) for _ in range(12)] == 12 * [502]
    assert peer_of(both, "one")["conns"] == 1
    gate.opened.set()
    assert held.response().status == 200
    wait_until(lambda: one(both) == 200, "the connection to be free")
    both.end_old()
    assert one(both) == 200 and peer_of(both, "one")["conns"] == 0


@pytest.mark.parametrize("victim", ["old", "new"])
def test_a_killed_binary_has_no_connections(both, gate, victim):
    held = hold_in(victim, both, gate, CONNECTION)
    assert one(both) == 502
    crash(victim, both)
    gate.opened.set()
    wait_until(lambda: one(both) == 200, "the connection to be free")
    held.close()


def test_a_server_is_drained_when_the_old_binary_has_no_connection_left(both):
    with Connection(both.limpet.port) as socket:
        assert upgrade(socket, "/ws").status == 101
        both.upgrade()
        os.kill(both.old, signal.SIGQUIT)
        wait_until(lambda: len(both.old_workers()) == 1, "the idle worker to end")
        drain(both, "app")
        for count in (1, 2):  # of a server without connections: so often draining servers have been looked at
            drain(both, "one")
            both.limpet.wait_log('in upstream "one" is drained', count)
        peer = peer_of(both)
        assert (peer["state"], peer["conns"]) == ("draining", 1)
        assert not both.limpet.log_lines('in upstream "app" is drained')
        socket.send(frame(TEXT, b"still here"))
        assert read_frame(socket.stream) == (TEXT, b"still here")
    both.limpet.wait_log('in upstream "app" is drained: its last session and its last connection have ended')
    assert peer_of(both)["state"] == "drained"


def own_memory(pid):
    """KiB that are written and have no file: what each process has for itself."""
    dirty, counts = 0, False
    with open(f"/proc/{pid}/smaps") as maps:
        for line in maps:
            if re.match("[0-9a-f]+-", line):
                name = line.split()[5:]
                counts = name in ([], ["[heap]"])
            elif counts and line.startswith(("Private_Dirty:", "Shared_Dirty:")):
                dirty += int(line.split()[1])
    return dirty


def test_a_new_binary_has_no_more_memory_than_the_old_one(both):
    before, worker = own_memory(both.old), own_memory(both.old_workers()[0])
    both.upgrade()
    assert own_memory(both.new) < before + 512
    assert max(own_memory(pid) for pid in children(both.new)) < worker + 512
