"""SIGUSR2: a new binary beside the old one, under load; and every way back."""
import json
import os
import signal

import pytest

from binaries import SessionBinaries, children, read_pid
from client import get
from daemon import alive
from waiting import wait_until

@pytest.fixture
def pair(origins):
    with SessionBinaries(origins) as made:
        yield made


def test_a_new_binary_replaces_the_old_one_without_losing_anything(pair):
    with pair.load() as load:
        load.more()
        pair.upgrade()
        load.more()
        pair.rest()
        load.more()
        pair.end(pair.old)
        load.more()
    pair.check_sessions()
    assert read_pid(pair.limpet) == pair.new
    assert read_pid(pair.limpet, ".oldbin") is None
    assert os.path.exists(pair.limpet.path("socket")), "the new one still listens there"
    assert pair.limpet.run("status").returncode == 0
    pair.limpet.wait_log("the old binary has ended")
    pair.end(pair.new)  # it cleans up as the old one would have
    for name in ("limpet.pid", "socket", "limpet.sock"):
        assert not os.path.exists(pair.limpet.path(name)), name


@pytest.mark.parametrize("rested", [True, False])
def test_the_way_back(pair, rested):
    with pair.load() as load:
        load.more()
        pair.upgrade()
        if rested:
            pair.rest()
            load.more()
            os.kill(pair.old, signal.SIGHUP)  # starts them again, without reading the configuration
            pair.limpet.wait_log("starting workers again beside the new binary")
            wait_until(lambda: len(children(pair.old)) == 3, "the old workers to be back")
        load.more()
        pair.end(pair.new)
        wait_until(lambda: read_pid(pair.limpet) == pair.old, "the pid file to be the old one's again")
        load.more()
    assert read_pid(pair.limpet, ".oldbin") is None
    pair.check_sessions()
    assert os.path.exists(pair.limpet.path("socket"))
    assert pair.limpet.run("status").returncode == 0, "the control socket is the old one's again"
    pair.limpet.reload()
    pair.check_sessions()


def test_workers_come_back_by_themselves_when_the_new_binary_ends(pair):
    pair.upgrade()
    pair.rest()
    with pair.load() as load:
        os.kill(pair.new, signal.SIGKILL)
        wait_until(lambda: len(children(pair.old)) == 2, "the old workers to be back")
        load.more()
    pair.check_sessions()


def test_a_new_binary_that_cannot_start_changes_nothing(pair):
    pair.limpet.write("worker_processes 2; rubbish;")
    with pair.load() as load:
        os.kill(pair.old, signal.SIGUSR2)
        pair.limpet.wait_log(r"new binary process \d+ has ended")
        wait_until(lambda: read_pid(pair.limpet) == pair.old, "the pid file's name")
        load.more()
    pair.check_sessions()
    assert os.path.exists(pair.limpet.path("socket"))


def test_only_two_at_a_time(pair):
    pair.upgrade()
    for pid in (pair.old, pair.new):
        os.kill(pid, signal.SIGUSR2)
    pair.limpet.wait_log("the changing binary signal is ignored", count=2)
    pair.check_sessions()


def test_twice(pair):
    with pair.load() as load:
        pair.upgrade()
        pair.end(pair.old)
        pair.limpet.wait_log("the old binary has ended")
        pair.old = pair.new
        pair.upgrade()
        pair.end(pair.old)
        load.more()
    pair.check_sessions()


def test_the_zone_is_saved_by_the_last_one_only(pair):
    snapshot = pair.limpet.path("state/one.sessions")
    pair.upgrade()
    pair.end(pair.old)
    assert not os.path.exists(snapshot)
    pair.check_sessions()
    pair.end(pair.new)
    assert os.path.exists(snapshot)
    pair.limpet.start()
    pair.check_sessions()


@pytest.mark.parametrize("turn", range(6))  # either may end first, or both in one moment
def test_both_told_to_end_at_once_leave_a_snapshot(pair, turn):
    pair.upgrade()
    for pid in (pair.new, pair.old):
        os.kill(pid, signal.SIGTERM)
    for pid in (pair.old, pair.new):
        pair.wait_end(pid)
    pair.limpet.remove_zones()  # as a container that ends
    pair.limpet.start()
    pair.check_sessions()


def test_a_drain_that_only_the_new_one_knows_outlives_both(pair):
    """The old one lives still when the new one ends, and comes to no last word."""
    server = f"127.0.0.1:{pair.limpet.values['a']}"
    pair.upgrade()
    in_the_way = pair.limpet.path("state/servers")
    os.makedirs(in_the_way + "/full")
    assert pair.limpet.run("drain", "app", server).returncode == 0
    pair.limpet.wait_log("the states of servers are not kept")
    for path in (in_the_way + "/full", in_the_way):
        os.rmdir(path)
    os.kill(pair.old, signal.SIGSTOP)
    try:
        pair.end(pair.new, signal.SIGTERM)
        with open(in_the_way) as kept:
            assert server in kept.read()
    finally:
        os.kill(pair.old, signal.SIGCONT)


def test_what_is_known_of_servers_goes_along(pair):
    """A server that was drained, and one that has failed, are that for the new binary, too."""
    def states():
        done = pair.limpet.run("servers", "app", "--json")
        return {peer["server"]: (peer["state"], peer["fails"]) for peer in json.loads(done.stdout)["peers"]}

    a, b = (f"127.0.0.1:{pair.limpet.values[name]}" for name in "ab")
    assert pair.limpet.run("drain", "app", a).returncode == 0
    before = states()
    assert before == {a: ("draining", 0), b: ("up", 0)}
    pair.upgrade()
    assert states() == before
    pair.end(pair.old)
    assert states() == before
    pair.check_sessions()
    assert {get(pair.limpet.port).text for _ in range(6)} == {"b"}
    assert pair.limpet.run("restore", "app", a).returncode == 0
    assert {get(pair.limpet.port).text for _ in range(6)} == {"a", "b"}


def upgraded(pair):
    """`limpet -s upgrade`, and who serves then."""
    done = pair.limpet.run("-s", "upgrade")
    pair.new = pid if (pid := read_pid(pair.limpet)) != pair.old else None
    return done


def test_one_command_changes_the_binary(pair):
    with pair.load() as load:
        load.more()
        done = upgraded(pair)
        assert done.returncode == 0, done.stderr
        load.more()
    pair.wait_end(pair.old)
    assert alive(pair.new) and read_pid(pair.limpet, ".oldbin") is None
    pair.check_sessions()


def test_one_command_leaves_the_old_binary_if_the_new_one_cannot_start(pair):
    pair.limpet.write("worker_processes 2; rubbish;")
    with pair.load() as load:
        done = upgraded(pair)
        assert done.returncode == 1 and f"process {pair.old}, which goes on" in done.stderr
        load.more()
    assert read_pid(pair.limpet) == pair.old
    pair.check_sessions()


def test_one_command_needs_a_running_limpet(pair):
    pair.limpet.end()
    done = pair.limpet.run("-s", "upgrade")
    assert done.returncode == 1 and "limpet.pid" in done.stderr
    pair.limpet.start()
