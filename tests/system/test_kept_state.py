"""What is in state_path while limpet runs and after it: sessions, drained and downed servers."""
import json
import os
import signal

import pytest

from client import Connection, get
from daemon import Limpet
from dns import NameServer
from sessions import LEARNING_UPSTREAM, SessionLimpet, opens_sessions
from waiting import wait_until

IDS = [f"s{i}" for i in range(100)]


def kill_with_memory(limpet):
    """As a container that takes too long to end: all processes at once, and /dev/shm goes, too."""
    limpet.kill_all()
    limpet.remove_zones()


def kept(limpet):
    return limpet.path("state/clients.sessions")


def holding(limpet):
    """A request that lasts, and with it its worker."""
    connection = Connection(limpet.port)
    connection.send("GET / HTTP/1.1\r\n")
    with Connection(limpet.port) as other:
        other.request("/status/")
    return connection


def test_sessions_are_written_when_a_graceful_stop_begins():
    with SessionLimpet() as limpet:
        sessions = limpet.learn(IDS)
        with holding(limpet), holding(limpet):
            limpet.kill(signal.SIGQUIT)
            wait_until(lambda: os.path.exists(kept(limpet)), "the file")
            kill_with_memory(limpet)
        limpet.start()
        limpet.wait_log("100 of 100 sessions loaded")
        assert limpet.visit(IDS) == sessions


def test_sessions_are_written_while_it_runs():
    with SessionLimpet(main="state_interval 1s;") as limpet:
        sessions = limpet.learn(IDS)
        wait_until(lambda: os.path.exists(kept(limpet)), "the file")
        assert os.stat(kept(limpet)).st_mode & 0o777 == 0o600
        more = limpet.learn(["later"])
        written = os.stat(kept(limpet)).st_mtime_ns
        wait_until(lambda: os.stat(kept(limpet)).st_mtime_ns != written, "the next")
        kill_with_memory(limpet)
        limpet.start()
        limpet.wait_log("sessions loaded")
        assert limpet.visit([*IDS, "later"]) == {**sessions, **more}


def test_only_at_the_end_where_that_is_wanted():
    with SessionLimpet(main="state_interval 0;") as limpet:
        limpet.learn(IDS)
        assert not os.path.exists(kept(limpet))
        limpet.end()
        assert os.path.exists(kept(limpet))


def test_a_folder_that_cannot_be_written_is_said_and_harms_nobody():
    with SessionLimpet(main="state_path {dir}/file/; state_interval 1s;", start=False) as limpet:
        with open(limpet.path("file"), "w"):
            pass
        limpet.start()
        sessions = limpet.learn(IDS)
        limpet.wait_log(r"\[warn\].*sessions stay in shared memory only")
        assert limpet.visit(IDS) == sessions
        assert limpet.end() == 0


def test_two_that_have_one_folder_are_told(tmp_path):
    main = f"state_path {tmp_path}/; state_interval 1s;"
    said = "is that of another limpet, too"
    with SessionLimpet(main=main) as first:
        wait_until(lambda: (tmp_path / "limpet.lock").exists(), "the first to have the folder")
        with SessionLimpet(main=main) as second:
            (line,) = second.wait_log(said)
            assert first.path("limpet.pid") in line
        first.reload()
        assert not first.log_lines(said)
    with SessionLimpet(main=main) as third:
        wait_until(lambda: third.path("limpet.pid") in (tmp_path / "limpet.lock").read_text(), "the folder to be free again")
        assert not third.log_lines(said)


def test_a_stop_that_takes_too_long_is_cut_short(monkeypatch):
    monkeypatch.setenv("LIMPET_STOP_TIMEOUT", "500ms")
    with SessionLimpet() as limpet:
        limpet.learn(IDS)
        with holding(limpet) as held:
            limpet.kill(signal.SIGHUP)  # is bounded by nothing: the request stays
            limpet.wait_log("start worker processes", count=2)
            limpet.wait_log("gracefully shutting down")
            held.send("Host: x\r\n\r\n")
            assert held.response().status == 200
        with holding(limpet):
            assert limpet.end(signal.SIGQUIT) == 0
        limpet.wait_log("the time to end gracefully is over")
        assert os.path.exists(kept(limpet))


# Servers

CONFIG = """
{main}
events { }
http {
""" + LEARNING_UPSTREAM + """
    server {
        listen {port};
        location / { proxy_pass http://app; }
        location /status/ { api /status/ write=on; }
    }
}
"""


@pytest.fixture
def limpet(origins):
    (a,), (b,) = origins("a", respond=opens_sessions("a")), origins("b", respond=opens_sessions("b"))
    with Limpet(CONFIG, workers=2, a=a.port, b=b.port, main="") as made:
        yield made


def server(limpet, name):
    return f"127.0.0.1:{limpet.values[name]}"


def peers(limpet):
    done = limpet.run("servers", "app", "--json")
    return {peer["server"]: peer for peer in json.loads(done.stdout)["peers"]}


def states(limpet):
    found = peers(limpet)
    return [found[server(limpet, name)]["state"] for name in "ab"]


def drain(limpet, name, *more):
    assert limpet.run("drain", "app", server(limpet, name), *more).returncode == 0


def patch(limpet, name, text):
    body = json.dumps(text)
    with Connection(limpet.port) as connection:
        connection.send(f"PATCH /status/upstreams/app/peers/{server(limpet, name)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}")
        assert connection.response().status == 200


def start_again(limpet, how=signal.SIGQUIT):
    if how == signal.SIGKILL:
        wait_until(lambda: os.path.exists(limpet.path("state/servers")), "the file")
        kill_with_memory(limpet)
    else:
        limpet.end(how)
    limpet.start()


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGTERM, signal.SIGKILL])
def test_a_drained_server_is_drained_after_a_restart(limpet, how):
    drain(limpet, "a")
    start_again(limpet, how)
    limpet.wait_log(rf'server {server(limpet, "a")} of upstream "app" is draining as it was before')
    assert states(limpet)[0] in ("draining", "drained") and states(limpet)[1] == "up"
    assert {get(limpet.port).text for _ in range(6)} == {"b"}


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGKILL])
def test_a_server_that_is_down_is_down_after_a_restart(limpet, how):
    patch(limpet, "a", {"down": True})
    start_again(limpet, how)
    assert states(limpet) == ["down", "up"]
    assert {get(limpet.port).text for _ in range(6)} == {"b"}
    patch(limpet, "a", {"down": False})
    start_again(limpet)
    assert states(limpet) == ["up", "up"]
    assert not os.path.exists(limpet.path("state/servers")), "there is nothing to say"


def test_deadlines_live_on(limpet):
    get(limpet.port)
    drain(limpet, "a", "--deadline", "1h")
    start_again(limpet)
    left = peers(limpet)[server(limpet, "a")]["drain_left_ms"]
    assert 3_000_000 < left <= 3_600_000


def test_what_is_restored_is_forgotten(limpet):
    drain(limpet, "a")
    wait_until(lambda: os.path.exists(limpet.path("state/servers")), "the file")
    assert limpet.run("restore", "app", server(limpet, "a")).returncode == 0
    wait_until(lambda: not os.path.exists(limpet.path("state/servers")), "it to go")
    start_again(limpet)
    assert states(limpet) == ["up", "up"]


def test_a_file_of_somebody_else_says_nothing(limpet):
    drain(limpet, "a")
    limpet.end()
    os.chmod(limpet.path("state/servers"), 0o666)
    limpet.start()
    limpet.wait_log(r"\[warn\] .*servers are as configured: .*can be written by others")
    assert states(limpet) == ["up", "up"]


def test_a_server_that_a_name_gives_is_drained_when_the_name_is_answered(origins):
    (a,) = origins("a")
    with NameServer() as dns:
        dns.set(web=["127.0.0.1", "127.0.1.9"])
        with Limpet("""
            events { }
            http {
                resolver 127.0.0.1:{dns} valid=1s ipv6=off;
                upstream app { zone app 256k; server web.test:{a} resolve; }
                server { listen {port}; location / { proxy_pass http://app; } }
            }""", workers=1, dns=dns.port, a=a.port) as limpet:
            two = [f"127.0.0.1:{a.port}", f"127.0.1.9:{a.port}"]
            wait_until(lambda: sorted(peers(limpet)) == two, "the peers")
            assert limpet.run("drain", "app", two[1]).returncode == 0
            start_again(limpet)
            wait_until(lambda: sorted(peers(limpet)) == two, "the peers")
            wait_until(lambda: peers(limpet)[two[1]]["state"] in ("draining", "drained"), "the drain")
            assert peers(limpet)[two[0]]["state"] == "up"
