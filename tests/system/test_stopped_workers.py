"""A worker that is stopped while it holds a lock of shared memory: the master goes on, and ends it."""
import json
import os
import signal
import threading

import pytest

from client import Connection
from sessions import SessionLimpet
from waiting import wait_until

LIBRARY = os.environ.get("STOP_IN_LOCK_LIBRARY", "")
pytestmark = pytest.mark.skipif(not os.path.exists(LIBRARY), reason="without the library that stops a worker")
MAIN = "worker_rlimit_core 0; worker_watchdog {watchdog};" + ("user root;" if os.geteuid() == 0 else "")  # the trigger is ours


@pytest.fixture
def limpet(monkeypatch, tmp_path):
    """Starts limpets of two workers, of which stop() stops one inside the lock of the only shard."""
    trigger = tmp_path / "stop"
    monkeypatch.setenv("LD_PRELOAD", LIBRARY)
    monkeypatch.setenv("STOP_IN_LOCK", str(trigger))
    made = []

    def start(watchdog, more=""):
        limpet = SessionLimpet(size="32k", more=more, main=MAIN.replace("{watchdog}", watchdog))
        made.append(limpet)
        limpet.trigger = trigger
        return limpet

    yield start
    for limpet in made:
        limpet.forgive()
        if limpet.process.poll() is None:
            for pid in limpet.workers():
                os.kill(pid, signal.SIGCONT)
        limpet.__exit__(None)


def state(pid):
    with open(f"/proc/{pid}/stat") as text:
        return text.read().rpartition(")")[2].split()[0]


def stop_one(limpet):
    """Returns the worker that stands still now, and the connection of the request that did it."""
    limpet.trigger.touch()
    connection = Connection(limpet.port)
    connection.send("GET /?new=stopping HTTP/1.1\r\nHost: x\r\n\r\n")
    (stopped,) = wait_until(lambda: [pid for pid in limpet.workers() if state(pid) == "T"], "a worker to stop")
    return stopped, connection


def test_the_watchdog_ends_it_although_sessions_wait_to_be_collected(limpet):
    limpet = limpet("3s", more="timeout=1s gc_period=1s")
    limpet.learn([f"s{i}" for i in range(50)])
    stopped, connection = stop_one(limpet)
    connection.close()
    limpet.wait_log(rf"worker process {stopped} has not turned for \d+ s, it is ended with SIGABRT")
    limpet.wait_log(rf"worker process {stopped} exited on signal 6")
    wait_until(lambda: len(limpet.workers()) == 2, "the new worker")
    assert limpet.learn(["after"])["after"] in "ab"
    wait_until(lambda: limpet.zone()["active"] == 0, "all to be collected")


def test_the_watchdog_spares_a_worker_that_waits_for_the_lock(limpet):
    limpet = limpet("3s")
    stopped, connection = stop_one(limpet)
    (other,) = set(limpet.workers()) - {stopped}
    crowd = [Connection(limpet.port) for _ in range(16)]  # some come to the other worker
    for number, client in enumerate(crowd):
        client.send(f"GET /?new=waiting{number} HTTP/1.1\r\nHost: x\r\n\r\n")
    limpet.wait_log(rf"worker process {stopped} exited on signal 6")
    assert limpet.learn(["after"])["after"] in "ab"
    assert other in limpet.workers() and not limpet.log_lines(f"worker process {other} has not turned")
    for client in [connection, *crowd]:
        client.close()


def test_commands_signals_and_deaths_are_seen_to_meanwhile(limpet):
    limpet = limpet("off", more="timeout=1s gc_period=1s")
    limpet.learn([f"s{i}" for i in range(50)])
    stopped, connection = stop_one(limpet)
    status = json.loads(limpet.run("status", "--json").stdout)
    assert {worker["pid"] for worker in status["workers"]} == set(limpet.workers())

    (other,) = set(limpet.workers()) - {stopped}
    os.kill(other, signal.SIGKILL)
    limpet.wait_log(rf"worker process {other} exited on signal 9")
    wait_until(lambda: len(limpet.workers()) == 2, "the new worker")
    assert limpet.run("forget", "clients", "s1").stderr == "limpet: a worker stands still inside shared memory\n"

    limpet.kill(signal.SIGHUP)
    limpet.wait_log("start worker processes", count=2)
    os.kill(stopped, signal.SIGKILL)
    connection.close()
    wait_until(lambda: limpet.zone()["active"] == 0, "all to be collected")
    assert limpet.end() == 0


def test_it_ends_when_it_is_told_to(limpet):
    limpet = limpet("off")
    stopped, connection = stop_one(limpet)
    waiter = threading.Thread(target=limpet.process.wait)
    waiter.start()
    limpet.kill(signal.SIGTERM)
    waiter.join(20)
    assert not waiter.is_alive()
    connection.close()
