"""Session zones as a whole: capacity, levels, counters, sharing, lifetimes."""
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import threading

import pytest

from client import Connection, get
from daemon import Limpet
from ports import free_port
from sessions import SessionLimpet, pipeline
from waiting import wait_until


def test_a_mebibyte_holds_what_it_promises():
    with SessionLimpet(more="timeout=1h") as limpet:
        capacity = limpet.capacity()
        assert capacity >= 36_000
        ids = [f"s{i}" for i in range(capacity * 11 // 10)]  # shards do not fill alike: all are full then
        sessions = limpet.learn(ids)
        before = limpet.zone()
        found = limpet.visit(ids)
        hits = limpet.zone()["hits"] - before["hits"]
        assert hits == before["active"] == capacity
        assert before["rotated"] == len(ids) - capacity
        newest = ids[-capacity // 2:]
        assert all(found[i] == sessions[i] for i in newest)


WITHDRAWN = re.compile(r"is below \d+%: ([0-6]?\d|7[01])% full")
LINE = r"session zone \"clients\" (reached|is below|is above)"


def test_a_zone_that_fills_drains_and_fills_again_says_so_once_each():
    # All come before the first leaves, on a slow machine, too.
    with SessionLimpet(size="32k", more="timeout=10s gc_period=1s") as limpet:
        capacity = limpet.capacity()
        fill = capacity * 6 // 5
        for turn in (1, 2):
            limpet.learn([f"{turn}-{i}" for i in range(fill)])
            line = limpet.wait_log(r"\[crit\].*reached 95%", count=turn)[-1]
            # The look may come while the last of them are still beginning.
            assert re.search(rf"of {capacity} sessions, \d+ rotated and 0 refused since the last line, full (now|in \ds)", line), line
            wait_until(lambda: limpet.zone()["active"] == 0, "the zone to drain")
            wait_until(lambda: WITHDRAWN.search(limpet.log_lines(LINE)[-1]), "the last level to be withdrawn")
            assert "[notice]" in limpet.log_lines(LINE)[-1]
            assert "not filling up at the present rate" in limpet.log_lines(LINE)[-1]
        assert limpet.zone()["rotated"] == 2 * (fill - capacity)
        lines = limpet.log_lines(LINE)
        # A look may find it between two levels: each is raised and withdrawn once a turn at most.
        for level in ("75%", "85%", "95%"):
            assert len([line for line in lines if f"reached {level}" in line]) <= 2
            assert len([line for line in lines if f"is below {level}" in line]) <= 2
        assert not [line for line in lines if "is above" in line]  # less than a minute


def test_every_name_is_counted_and_a_dead_worker_keeps_its_counts():
    with SessionLimpet() as limpet:
        limpet.learn([f"s{i}" for i in range(50)])
        limpet.visit([f"s{i}" for i in range(60)])
        before = limpet.zone()
        names = {"lookups", "hits", "misses", "expired", "created", "refreshed", "rotated", "refused", "too_long",
                 "repaired", "active", "used_total", "capacity"}
        assert names <= before.keys()
        assert (before["created"], before["hits"], before["misses"], before["used_total"]) == (50, 50, 10, 50)
        assert sum(worker["hits"] for worker in before["workers"]) == 50
        victims = limpet.workers()
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        limpet.wait_log(r"exited on signal 9", count=2)
        wait_until(lambda: len(limpet.workers()) == 2 and not set(victims) & set(limpet.workers()), "new workers")
        after = limpet.zone()
        assert {name: after[name] for name in names} == {name: before[name] for name in names}


SECOND = """
    upstream second {
        {members}
        sticky learn create=$arg_new lookup=$arg_id zone=clients:1m;
    }
    server { listen {other}; location / { proxy_pass http://second; } }
"""


def shared(members, start=True):
    limpet = SessionLimpet(http=SECOND.replace("{members}", members), start=False)
    limpet.values["other"] = free_port()
    limpet.write(limpet._config(limpet.values))
    if start:
        limpet.start()
    return limpet


def test_upstreams_with_the_same_servers_share_a_zone():
    with shared("server 127.0.0.1:{b}; server 127.0.0.1:{a};") as limpet:
        ids = [f"s{i}" for i in range(100)]
        sessions = limpet.learn(ids)
        assert pipeline(limpet.values["other"], [f"/?id={i}" for i in ids]) == list(sessions.values())


def test_upstreams_with_other_servers_may_not():
    with shared("server 127.0.0.1:{a}; server 127.0.0.1:{c};", start=False) as limpet:
        result = limpet.run("-t")
        assert result.returncode != 0
        assert 'is shared by upstreams "backend" and "second" with different servers' in result.stderr
        assert "limpet.conf:" in result.stderr


def test_with_norefresh_use_does_not_keep_a_session():
    with SessionLimpet(more="timeout=2s norefresh") as limpet:
        limpet.learn(["mine"])
        wait_until(lambda: limpet.visit(["mine"]) and limpet.zone()["expired"] > 0, "its end, while it is used")
        assert limpet.zone()["hits"] > 0


@pytest.mark.parametrize("header", ["header", ""])
def test_a_new_session_is_known_before_the_body_has_come(header, origins):
    release = threading.Event()
    (slow,) = origins("slow")

    def respond(request):
        raise AssertionError("answered below")

    def exchange(connection, stream):
        while stream.readline().strip():
            pass
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<")
        release.wait(20)
        connection.sendall(b"xy>")
        return False

    slow.respond, slow._exchange = respond, exchange
    with SessionLimpet(start=False, more=header) as limpet:
        limpet.values["a"] = slow.port
        limpet.servers = "a"
        limpet.write(limpet._config(limpet.values).replace("server { listen 127.0.0.1:{a};", "server { listen 127.0.0.1:{d};")
                     .replace("{d}", str(free_port())))
        limpet.start()
        with Connection(limpet.port) as connection:
            connection.send("GET /?new=mine HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200" in connection.stream.readline()
            assert limpet.zone()["active"] == 1
            release.set()
            while connection.stream.read(1) != b">":
                pass


@pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")
def test_no_request_fails_while_masses_expire():
    with SessionLimpet(size="4m", more="timeout=1h") as limpet:
        count = 60_000
        limpet.learn([f"s{i}" for i in range(count)])
        assert limpet.zone()["active"] == count
        limpet.change(more="timeout=1s gc_period=3s")
        load = subprocess.Popen(["wrk", "-t1", "-c8", "-d6s", f"http://127.0.0.1:{limpet.port}/?id=s1"],
                                stdout=subprocess.PIPE, text=True)
        wait_until(lambda: limpet.zone()["active"] <= 1, "all but the one in use to be collected")
        output = load.communicate(timeout=30)[0]
        assert "requests in" in output
        assert "Non-2xx" not in output and "Socket errors" not in output, output
        assert limpet.zone()["created"] == count


# What is left in shared memory

def test_a_zone_that_nobody_has_any_more_is_removed_at_the_next_start():
    """All were killed, and the next configuration has no such zone."""
    with SessionLimpet() as limpet:
        sessions = limpet.learn([f"s{i}" for i in range(10)])
        names = [limpet.zone_path("clients"), limpet.zone_path("clients") + ".bad"]
        open(names[1], "w").close()
        os.chmod(names[1], 0o600)
        limpet.kill_all()
        limpet.write("events { }")
        limpet.start()
        wait_until(lambda: not os.path.exists(names[0]), "the zone to be gone")
        limpet.wait_log("shared memory .*, which nobody used, was removed")
        assert os.path.exists(names[1]), "what was set aside is for people to look at"
        assert sessions


def test_a_start_that_is_refused_leaves_the_zones_of_the_one_that_runs_alone():
    """Another configuration by mistake, at the same pid file."""
    with SessionLimpet(more="timeout=1h") as limpet:
        sessions = limpet.learn([f"s{i}" for i in range(40)])
        before = set(glob.glob(limpet._memory("*")))
        with open(limpet.path("limpet.conf")) as file:
            config = file.read()
        other = config.replace("timeout=1h", "timeout=1s").replace("zone=clients:1m", "zone=clients:2m")
        other = re.sub(r"server \{ listen 127.*", "", other).replace(f"listen {limpet.port};", f"listen {free_port()};")
        limpet.write(other, "other.conf")
        command = limpet.command()
        command[command.index("limpet.conf")] = "other.conf"
        refused = subprocess.run(command, capture_output=True, text=True, timeout=20)
        assert refused.returncode == 1 and "is held by process" in refused.stderr
        assert limpet.zone()["timeout_ms"] == 3600_000
        assert set(glob.glob(limpet._memory("*"))) == before and not limpet.log_lines("has another size")
        assert limpet.visit(sessions) == sessions


MANY = """
events { }
http {
    upstream app { zone app 256k; {servers} least_conn;
                   sticky learn create=$upstream_cookie_id lookup=$cookie_id zone=z:{size}; }
    server { listen {port}; location / { proxy_pass http://app; } location /status/ { api /status/; } }
}
"""


def test_a_zone_without_places_for_all_servers_is_told():
    servers = " ".join(f"server 127.0.0.1:{port};" for port in range(1, 41))
    with Limpet(MANY, servers=servers, size="64k") as limpet:
        line = 'session zone "z" has places for 32 servers: sessions at 8 of its 40 are not learned, 320k has places for all'
        assert f"[warn] {line}" in limpet.run("-t").stderr
        problem, = json.loads(get(limpet.port, "/status/problems").text)
        assert (problem["level"], problem["kind"], problem["subject"]) == ("error", "zone", "z")
        assert problem["text"] == "session zone z knows 32 servers, sessions at 8 more are not learned"
        limpet.values["size"] = "320k"
        limpet.reload(MANY)
        assert "warn" not in limpet.run("-t").stderr
        assert json.loads(get(limpet.port, "/status/problems").text) == []
