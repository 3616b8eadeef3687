"""What becomes of sessions over reloads, stops, crashes and damaged files."""
import os
import signal

import pytest

from sessions import SessionLimpet
from waiting import wait_until

IDS = [f"s{i}" for i in range(200)]


def start_again(limpet):
    limpet.start()
    limpet.wait_log("start worker processes")


def test_the_same_size_keeps_all_without_a_word():
    with SessionLimpet() as limpet:
        sessions = limpet.learn(IDS)
        limpet.change(more="timeout=30m")
        assert limpet.visit(IDS) == sessions
        assert not limpet.log_lines("moved|found again|repaired")


def test_another_size_moves_the_newest_and_says_how_many():
    with SessionLimpet(size="32k") as limpet:
        sessions = limpet.learn(IDS)
        limpet.change(size="256k")
        limpet.wait_log(r"\[notice\].*200 of 200 sessions moved")
        assert limpet.visit(IDS) == sessions
        limpet.learn([f"old{i}" for i in range(3000)])
        assert limpet.visit(IDS) == sessions  # used last: the newest
        limpet.change(size="32k")
        (line,) = limpet.wait_log(r"\[warn\].* of 3200 sessions moved, newest first")
        moved = int(line.split(" of 3200")[0].split()[-1])
        assert moved == limpet.capacity() == limpet.zone()["active"]


def test_servers_in_another_order_added_and_removed():
    with SessionLimpet() as limpet:
        sessions = limpet.learn(IDS)
        assert set(sessions.values()) == {"a", "b"}
        for servers in ("ba", "cba", "abc"):
            limpet.change(servers=servers)
            assert limpet.visit(IDS) == sessions, servers
        limpet.change(servers="ac")
        of_a = {i: where for i, where in sessions.items() if where == "a"}
        assert limpet.visit(list(of_a)) == of_a
        limpet.change(servers="abc")  # b's have not been used meanwhile: they are its own again
        assert limpet.visit(IDS) == sessions


def test_another_timeout_holds_for_sessions_that_are_there():
    with SessionLimpet(more="timeout=1h") as limpet:
        sessions = limpet.learn(IDS)
        limpet.change(more="timeout=1s")
        others = iter(IDS)  # one that is visited lives on
        wait_until(lambda: limpet.visit([next(others)]) and limpet.zone()["expired"] > 0, "one to expire")
        limpet.change(more="timeout=1h")
        assert limpet.visit(IDS) == sessions  # nobody has collected them


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGTERM])
def test_a_clean_stop_writes_a_file_and_the_next_start_reads_it(how):
    with SessionLimpet(main="state_path {dir}/kept;") as limpet:
        sessions = limpet.learn(IDS)
        limpet.end(how)
        snapshot = limpet.path("kept/clients.sessions")
        assert os.stat(snapshot).st_mode & 0o777 == 0o600
        assert not any(i.encode() in open(snapshot, "rb").read() for i in IDS[100:])
        start_again(limpet)
        limpet.wait_log("200 of 200 sessions loaded")
        assert limpet.visit(IDS) == sessions


def test_state_is_kept_under_the_prefix_by_default():
    with SessionLimpet() as limpet:
        limpet.learn(IDS)
        limpet.end()
        assert os.path.exists(limpet.path("state/clients.sessions"))


def test_a_killed_group_is_found_again():
    with SessionLimpet() as limpet:
        sessions = limpet.learn(IDS)
        limpet.kill_all()
        start_again(limpet)
        limpet.wait_log("found, checked and repaired: 200 sessions kept")
        assert limpet.visit(IDS) == sessions


def test_collecting_goes_on_after_a_killed_group():
    with SessionLimpet(more="timeout=2s gc_period=1s") as limpet:
        limpet.learn(IDS)
        limpet.kill_all()
        start_again(limpet)
        wait_until(lambda: limpet.zone()["active"] == 0, "all to be collected")
        assert limpet.zone()["created"] == 200


def truncated(data):
    return data[:len(data) // 2]


def of_another_version(data):
    return data[:8] + bytes([99]) + data[9:]


def damaged(data):
    return data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]


@pytest.mark.parametrize("harm, why", [(truncated, "truncated"), (of_another_version, "version"), (damaged, "damaged")])
def test_a_bad_snapshot_is_set_aside_with_a_warning(harm, why):
    with SessionLimpet() as limpet:
        limpet.learn(IDS)
        limpet.end()
        snapshot = limpet.path("state/clients.sessions")
        with open(snapshot, "rb") as source:
            data = source.read()
        with open(snapshot, "wb") as out:
            out.write(harm(data))
        start_again(limpet)
        (line,) = limpet.wait_log(r"\[warn\].*set aside as")
        assert why in line
        with open(snapshot + ".bad", "rb") as kept:
            assert kept.read() == harm(data)
        assert limpet.zone()["active"] == 0
        assert limpet.visit(IDS) and limpet.learn(IDS) == limpet.visit(IDS)


def test_sessions_of_a_server_that_is_gone_live_where_they_are_served():
    with SessionLimpet(more="gc_period=1s") as limpet:
        assert set(limpet.learn(IDS).values()) == {"a", "b"}
        limpet.change(servers="a")
        at_a = {i: "a" for i in IDS}
        assert limpet.visit(IDS) == at_a
        assert limpet.zone()["active"] == len(IDS)
        limpet.change(servers="ab")
        assert limpet.visit(IDS) == at_a
