"""SIGUSR2 with a new binary that has its zone in another size, and back to the old one: sessions of both are kept."""
import os
import signal

import pytest

from binaries import SESSIONS, SessionBinaries, children, read_pid
from client import Connection, get
from waiting import wait_until

STOP_LIBRARY = os.environ.get("STOP_IN_LOCK_LIBRARY", "")


def is_stopped(pid):
    with open(f"/proc/{pid}/stat") as text:
        return text.read().rpartition(")")[2].split()[0] == "T"


@pytest.fixture
def trial(origins):
    with SessionBinaries(origins) as made:
        yield made


def try_size(trial, size):
    """The new binary has the zone in that size; the file is the old one's again."""
    trial.limpet.write(SESSIONS.replace("zone=one:1m", f"zone=one:{size}"))
    trial.upgrade()
    trial.limpet.wait_log(r"zone \"limpet-\w+-\w+\" has another size: 40 of 40 sessions moved")
    trial.limpet.write(SESSIONS)


def wake(trial):
    """The old workers again, beside the new binary."""
    os.kill(trial.old, signal.SIGHUP)
    wait_until(lambda: len(trial.old_workers()) == 2, "the old workers to be back")


def leave(trial, way):
    if way == "killed":
        trial.crash(trial.new)
    else:
        trial.end(trial.new)
    wait_until(lambda: read_pid(trial.limpet) == trial.old, "the pid file to be the old one's again")
    trial.limpet.wait_log(r"new binary process \d+ has ended")


def wait_settled(trial, gone):
    """Workers that have the zone as it is now, and no others."""
    wait_until(lambda: len(children(trial.old)) == 2 and not set(gone) & set(children(trial.old)), "the old binary's new workers")


def check_kept(trial):
    """Now, and by whoever comes later."""
    trial.check_sessions()
    trial.limpet.reload()
    trial.check_sessions()
    trial.end(trial.old)
    trial.limpet.start()
    trial.check_sessions()


@pytest.mark.parametrize("size", ["2m", "256k"])
@pytest.mark.parametrize("way", ["told to end", "killed"])
def test_sessions_of_the_trial_are_kept(trial, way, size):
    try_size(trial, size)
    trial.rest()
    trial.learn(20)
    leave(trial, way)
    check_kept(trial)


@pytest.mark.parametrize("way", ["told to end", "killed"])
def test_workers_that_served_beside_it_are_replaced(trial, way):
    beside = trial.old_workers()
    try_size(trial, "2m")
    trial.learn(20)  # by either
    leave(trial, way)
    with trial.load() as load:
        trial.limpet.wait_log("workers are replaced: the session zones are others now")
        load.more()
    wait_settled(trial, beside)
    check_kept(trial)


def test_workers_that_come_back_beside_it_have_its_sessions(trial):
    try_size(trial, "2m")
    trial.rest()
    trial.learn(20)
    wake(trial)
    trial.check_sessions()
    leave(trial, "told to end")
    check_kept(trial)


@pytest.mark.skipif(not os.path.exists(STOP_LIBRARY), reason="without the library that stops a worker")
def test_workers_that_come_back_while_its_zone_is_held_are_replaced(monkeypatch, tmp_path, origins):
    """The old binary cannot look at the zone at once. Its pid file's place is the new one's meanwhile."""
    trigger = tmp_path / "stop"
    monkeypatch.setenv("LD_PRELOAD", STOP_LIBRARY)
    monkeypatch.setenv("STOP_IN_LOCK", str(trigger))
    root = "user root;" if os.geteuid() == 0 else ""  # the trigger is ours
    config = f"worker_watchdog off; {root}" + SESSIONS
    for plain, other in (("zone app 64k;", ""), ("zone=one:1m", "zone=one:1m quota=$arg_who:99"),
                         ("location / {", "location /pid { return 200 $pid; } location / {")):
        config = config.replace(plain, other)
    with SessionBinaries(origins, config) as trial:
        trial.rest()
        os.unlink(trial.limpet.zone_path("one"))  # the new one makes another
        trial.upgrade()
        begun = set()
        wait_until(lambda: begun.add(get(trial.limpet.port, "/pid").text) or len(begun) == 2, "both new workers to serve")
        trigger.touch()
        client = Connection(trial.limpet.port)
        client.send("GET /?who=me HTTP/1.1\r\nHost: x\r\n\r\n")  # a session begins
        (stopped,) = wait_until(lambda: [pid for pid in children(trial.new) if is_stopped(pid)], "a worker to stop")
        wake(trial)
        beside = trial.old_workers()
        os.kill(stopped, signal.SIGCONT)
        client.close()
        trial.limpet.wait_log("workers are replaced: the session zones are others now")
        wait_until(lambda: len(trial.old_workers()) == 2 and not set(beside) & set(trial.old_workers()), "other workers")
        assert not trial.limpet.log_lines("is held by process")


def test_it_stays_after_all(trial):
    """The old workers come back and go again for good."""
    try_size(trial, "2m")
    trial.rest()
    trial.learn(20)
    before = children(trial.new)
    wake(trial)
    trial.end(trial.old)
    trial.limpet.wait_log("the old binary has ended, this one goes on alone")
    wait_until(lambda: len(children(trial.new)) == 2 and not set(before) & set(children(trial.new)), "other workers")
    trial.check_sessions()
    trial.end(trial.new)
    trial.limpet.start()
    trial.check_sessions()


def test_a_session_that_ended_in_the_trial_has_ended(trial):
    try_size(trial, "2m")
    trial.rest()
    ended = trial.sessions.pop()
    assert get(trial.limpet.port, f"/status/sessions/one/{ended}", method="DELETE").status == 200
    leave(trial, "told to end")
    assert trial.active() == len(trial.sessions)
    check_kept(trial)


def test_what_it_has_kept_of_servers_is_the_old_ones_again(trial, origins):
    (c,) = origins("c")
    address = f"127.0.0.1:{c.port}"
    trial.limpet.write(SESSIONS.replace("server 127.0.0.1:{a};", f"server 127.0.0.1:{{a}}; server {address};"))
    trial.upgrade()
    trial.rest()
    assert trial.limpet.run("drain", "app", address).returncode == 0
    file = trial.limpet.path("state/servers")
    wait_until(lambda: os.path.exists(file), "the file")
    trial.limpet.write(SESSIONS)
    leave(trial, "killed")
    wait_until(lambda: not os.path.exists(file), "the file to be gone: the old binary has no such server")


def test_memory_whose_name_was_removed_is_kept(trial):
    """By somebody who cleans /dev/shm: a reload gives it a name again, and an end is a snapshot as ever."""
    memory = trial.limpet.zone_path("one")
    os.unlink(memory)
    trial.limpet.reload()
    assert os.path.exists(memory)
    trial.check_sessions()
    os.unlink(memory)
    trial.end(trial.old)
    trial.limpet.start()
    trial.check_sessions()


def test_a_zone_that_only_a_killed_binary_had_is_removed(trial):
    limpet = trial.limpet
    limpet.write(SESSIONS.replace("upstream app {", """upstream other {
            server 127.0.0.1:{a};
            sticky learn create=$upstream_cookie_o lookup=$cookie_o zone=two:1m;
        }
        upstream app {"""))
    trial.upgrade()
    assert os.path.exists(limpet.zone_path("two"))
    trial.crash(trial.new)
    wait_until(lambda: not os.path.exists(limpet.zone_path("two")), "its zone to be gone")
    assert os.path.exists(limpet.zone_path("one"))
    trial.check_sessions()
