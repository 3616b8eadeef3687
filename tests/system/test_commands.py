"""What an operator asks of a running limpet at night: one session, explain, move, down, alerts, zones."""
import json
import os
import re
import signal
import subprocess
import time

import pytest

from client import get
from daemon import Limpet
from ports import free_port
from sessions import opens_sessions
from waiting import wait_until

CONFIG = """
events { }
http {
    limit_req_zone $binary_remote_addr zone=perip:1m rate=100r/s;
    limit_conn_zone $binary_remote_addr zone=conns:1m;
    upstream app {
        zone app 256k;
        server 127.0.0.1:{a};
        server 127.0.0.1:{b};
        sticky learn create=$upstream_cookie_s lookup=$cookie_s zone=one:1m;
    }
    upstream dead {
        zone dead 64k;
        server 127.0.0.1:{dead} max_fails=1 fail_timeout=1h;
        server 127.0.0.1:{dead2} max_fails=1 fail_timeout=1h;
    }
    server {
        listen {port};
        location / { proxy_pass http://app; limit_req zone=perip burst=1000 nodelay; }
        location /dead { proxy_pass http://dead; }
        location /status/ { api /status/ write=on; }
        location = /metrics { prometheus; }
    }
}
"""


@pytest.fixture
def limpet(origins):
    (a,), (b,) = origins("a", respond=opens_sessions("a")), origins("b", respond=opens_sessions("b"))
    with Limpet(CONFIG, workers=2, a=a.port, b=b.port, dead=free_port(), dead2=free_port()) as made:
        wait_until(lambda: os.path.exists(made.path("limpet.sock")), "the control socket")
        yield made
        made.forgive()


def ask(limpet, *words):
    done = limpet.run(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def api(limpet, path):
    return json.loads(get(limpet.port, "/status/" + path).text)


def rows(table):
    head, *lines = [line.split() for line in table.splitlines()]
    return [dict(zip(head, line)) for line in lines]


def server(limpet, name):
    return f"127.0.0.1:{limpet.values[name]}"


def session_at(limpet, name):
    return next(s for s in (get(limpet.port).cookie("s") for _ in range(4)) if s[0] == name)


def test_one_session(limpet):
    key = session_at(limpet, "a")
    (row,) = rows(ask(limpet, "session", "one", key))
    assert (row["ZONE"], row["SERVER"]) == ("one", server(limpet, "a"))
    assert row["IDLE"] == "0s" and re.fullmatch(r"\d+m|never", row["OVER_IN"])
    done = limpet.run("session", "one", "nobody")
    assert (done.returncode, done.stdout) == (1, "") and "no such session" in done.stderr


def test_explain_says_what_a_worker_would_do(limpet):
    key = session_at(limpet, "b")
    said = ask(limpet, "explain", "app", f"cookie={key}")
    first, step, *_ = said.splitlines()
    assert first == f"app: {server(limpet, 'b')} (hit)"
    assert step == f'  1. sticky learn: the session "{key}" is bound to {server(limpet, "b")}, idle for 0 s'
    from_worker = api(limpet, f"explain?upstream=app&cookie={key}")
    from_master = json.loads(ask(limpet, "explain", "app", f"cookie={key}", "--json"))
    assert from_master == from_worker
    before = api(limpet, "sessions/one")["lookups"]
    ask(limpet, "explain", "app", "cookie=a b&c")
    assert api(limpet, "sessions/one")["lookups"] == before, "a rehearsal is not counted"
    assert '"a b&c"' in ask(limpet, "explain", "app", "cookie=a b&c")
    done = limpet.run("explain", "ap")
    assert done.returncode == 1 and "no such upstream" in done.stderr


def test_a_session_is_moved(limpet):
    key = session_at(limpet, "a")
    (row,) = rows(ask(limpet, "move", "one", key, server(limpet, "b")))
    assert row["SERVER"] == server(limpet, "b")
    assert get(limpet.port, cookies={"s": key}).text == "b"
    for words, why in ((("move", "one", "nobody", server(limpet, "b")), "no such session"),
                       (("move", "one", key, "10.9.9.9:1"), "no such server"),
                       (("move", "two", key, server(limpet, "b")), "no such session zone")):
        done = limpet.run(*words)
        assert done.returncode == 1 and why in done.stderr, words


@pytest.mark.parametrize("body, status", [('{"move": {}}', 400), ('{"move": {"to": 1}}', 400), ('{"go": 1}', 400),
                                          ('{"move": {"to": "x", "from": "y"}}', 400), ('{"move": {"to": "x"}}', 404)])
def test_a_bad_move_moves_nothing(limpet, body, status):
    key = session_at(limpet, "a")
    done = get(limpet.port, f"/status/sessions/one/{key}", method="POST", body=body.encode(), headers=[("Content-Type", "application/json")])
    assert done.status == status
    assert get(limpet.port, cookies={"s": key}).text == "a"


def test_a_server_goes_down_and_up(limpet):
    key = session_at(limpet, "a")
    said = ask(limpet, "down", "app", server(limpet, "a"))
    assert re.fullmatch(rf"app {server(limpet, 'a')}: down, \d+ sessions? and 0 requests left there\n", said)
    assert get(limpet.port, cookies={"s": key}).text == "b"
    assert ask(limpet, "up", "app", server(limpet, "a")) == f"app {server(limpet, 'a')}: up\n"
    assert {get(limpet.port).text for _ in range(6)} == {"a", "b"}


def test_a_drain_says_what_is_left(limpet):
    session_at(limpet, "a")
    said = ask(limpet, "drain", "app", server(limpet, "a"), "--deadline", "10m")
    assert re.fullmatch(rf"app {server(limpet, 'a')}: draining, \d+ sessions? and 0 requests left there, "
                        r"its time is over in (9|10)m\n", said), said
    peer = api(limpet, f"upstreams/app/peers/{server(limpet, 'a')}")
    assert abs(time.time() - time.mktime(time.strptime(peer["changed"][:19], "%Y-%m-%dT%H:%M:%S"))) < 86400


def test_zones(limpet):
    get(limpet.port)
    found = {row["ZONE"]: row for row in rows(ask(limpet, "zones"))}
    assert found["one"]["KIND"] == "sessions" and found["one"]["USED"] == "1" and found["one"]["UPSTREAMS"] == "app"
    assert found["perip"]["KIND"] == "limit_req" and found["perip"]["USED"] == "1"
    assert found["conns"]["KIND"] == "limit_conn" and int(found["conns"]["CAPACITY"]) > 1000
    assert [zone["name"] for zone in api(limpet, "zones")] == ["one", "perip", "conns"]


def test_alerts_say_what_is_wrong_the_worst_first(limpet):
    assert ask(limpet, "alerts").startswith("nothing is wrong now\n")
    assert get(limpet.port, "/dead").status == 502
    good = open(limpet.path("limpet.conf")).read()
    limpet.write(good.replace("events", "evens"))
    limpet.kill(signal.SIGHUP)
    limpet.wait_log("the new configuration was refused: the one before serves on, nothing is lost")
    victim = limpet.workers()[0]
    os.kill(victim, signal.SIGKILL)
    limpet.wait_log(r"\[alert\].*that worker had 0 requests under way and \d+ connections?, which are lost; sessions are kept")
    lines = ask(limpet, "alerts").splitlines()
    assert lines[0] == "crit   upstream dead has no server that takes new clients"
    assert any(line.startswith(f"error  server {server(limpet, 'dead')} of dead is unavailable: its requests have failed") for line in lines)
    assert "error  the configuration on disk was refused, an earlier one serves" in lines
    assert any(re.match(r"error  1 worker died since the start, the last \d+s ago", line) for line in lines)
    assert any(f"worker process {victim} exited on signal 9 (0 requests under way" in line for line in lines)
    kinds = [problem["kind"] for problem in api(limpet, "problems")]
    assert kinds[0] == "upstream" and set(kinds) == {"upstream", "server", "reload", "worker"}


@pytest.mark.parametrize("words, wanted", [(["drain", "--help"], "usage: limpet drain UPSTREAM SERVER [--deadline TIME[,keep]] [--move N/s] [--json]"),
                                           (["explain", "--help"], "usage: limpet explain UPSTREAM [NAME=VALUE]... [--json] [-w SECONDS]"),
                                           (["status", "--help"], "usage: limpet status [--json] [-w SECONDS]")])
def test_each_command_says_how_it_is_used(limpet, words, wanted):
    assert ask(limpet, *words).splitlines()[0] == wanted


def test_help_names_every_command(limpet):
    text = limpet.run("--help").stderr
    names = re.findall(r"^  (\w+) .*: ", text.partition("Commands")[2], re.M)
    assert {"status", "alerts", "zones", "session", "explain", "move", "down", "up", "rebalance", "forget", "upgrade"} <= set(names)
    for name in set(names) - {"upgrade"}:
        assert ask(limpet, name, "--help").startswith(f"usage: limpet {name}")


@pytest.mark.parametrize("words, hint", [(["sesions"], 'unknown command "sesions" (did you mean "sessions"?)'),
                                         (["explian", "app"], 'did you mean "explain"?'),
                                         (["servers", "ap"], "no such upstream"),
                                         (["servers", "appp"], 'no such upstream (did you mean "app"?)'),
                                         (["sessions", "ona"], 'no such session zone (did you mean "one"?)')])
def test_unknown_words_are_answered_with_near_ones(limpet, words, hint):
    done = limpet.run(*words)
    assert done.returncode == 1 and hint in done.stderr


def test_a_question_is_made_of_names_and_values(limpet):
    for words in (["--cookie", "x"], ["Cookie: a"], ["=a"]):
        done = limpet.run("explain", "app", *words)
        assert done.returncode == 1 and f'limpet: "{words[0]}" is no NAME=VALUE\nusage: limpet explain' in done.stderr


def test_watching_asks_again_and_again(limpet):
    process = subprocess.Popen(limpet.command("servers", "app", "-w", "1"), stdout=subprocess.PIPE, text=True)
    try:
        seen = [process.stdout.readline() for _ in range(6)]
    finally:
        process.kill()
        process.wait()
    assert [line.split()[0] for line in seen] == ["UPSTREAM", "app", "app"] * 2
    done = limpet.run("servers", "-w", "0")
    assert done.returncode == 1 and 'option "-w" requires seconds, 1 to 86400' in done.stderr
    done = limpet.run("drain", "app", "x", "-w", "1")
    assert done.returncode == 1 and "usage: limpet drain" in done.stderr


def test_nobody_answering_has_an_exit_code_of_its_own(limpet):
    done = limpet.run("--socket", limpet.path("nobody.sock"), "status")
    assert done.returncode == 3 and "connect()" in done.stderr


def test_only_the_fields_that_are_asked_for(limpet):
    get(limpet.port)
    found = api(limpet, "upstreams?fields=server,state")
    assert list(found) == ["app", "dead"] and list(found["app"]) == ["peers"]
    assert found["app"]["peers"][0] == {"server": server(limpet, "a"), "state": "up"}
    assert list(api(limpet, "?fields=version,write")) == ["version", "write"]
    assert api(limpet, "upstreams/app?fields=nothing") == {}


def test_long_answers_are_packed(limpet):
    packed = get(limpet.port, "/status/upstreams", headers=[("Accept-Encoding", "gzip")])
    assert packed.header("content-encoding") == "gzip"
    assert len(packed.body) < len(get(limpet.port, "/status/upstreams").body) / 2
    assert packed.header("vary") == "Accept-Encoding"
    assert get(limpet.port, "/status/upstreams").header("content-encoding") is None
    assert get(limpet.port, "/metrics", headers=[("Accept-Encoding", "gzip")]).header("content-encoding") == "gzip"
    assert get(limpet.port, "/status/history", headers=[("Accept-Encoding", "gzip")]).header("content-encoding") is None


def test_an_upstream_tells_of_its_times(limpet):
    for _ in range(5):
        get(limpet.port)
    traffic = wait_until(lambda: (found := api(limpet, "upstreams/app")["traffic"])["requests"] == 5 and found, "five requests")
    assert traffic["sticky"]["new"] == 5 and sum(traffic["times"]) == 5
    assert traffic["p50_ms"] <= traffic["p95_ms"] <= traffic["p99_ms"]


def test_a_command_that_is_too_long_is_refused_as_such(limpet):
    ran = subprocess.run([*limpet.command("session", "one", "k" * 70_000)], capture_output=True, text=True, timeout=30)
    assert (ran.returncode, ran.stderr) == (1, "limpet: the command is too long\n")
