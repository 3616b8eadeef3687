"""What the master does for its workers: replaces them, watches them, gives each its share and no rights."""
import os
import re
import signal
import subprocess

import pytest

from client import Connection, get
from daemon import Limpet
from load import Load
from waiting import wait_until

CONFIG = """
{main}
events { worker_connections {connections}; }
http {
    server {
        listen {port} {options};
        location / { return 200 $pid; }
    }
}
"""
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")


def start(main="", workers=2, options="", connections=512):
    return Limpet(CONFIG, workers=workers, main=main, options=options, connections=connections)


def status_of(pid):
    with open(f"/proc/{pid}/status") as text:
        return dict(line.rstrip("\n").split(":\t", 1) for line in text if ":\t" in line)


def title(pid):
    with open(f"/proc/{pid}/cmdline") as text:
        return text.read().rstrip("\0")


# Shares

def per_worker(connections):
    counts = {}
    for connection in connections:
        pid = connection.request().text
        counts[pid] = counts.get(pid, 0) + 1
    return sorted(counts.values())


@pytest.mark.parametrize("pace", ["at once", "one by one"])
def test_kept_connections_are_spread_evenly(pace):
    with start(workers=4, connections=1024) as limpet:
        connections = []
        try:
            for _ in range(200):
                connections.append(Connection(limpet.port))
                if pace == "one by one":
                    connections[-1].request()
            counts = per_worker(connections)
        finally:
            for connection in connections:
                connection.close()
        assert len(counts) == 4 and 40 <= counts[0] and counts[-1] <= 60, counts


def test_a_worker_that_stands_still_keeps_no_connection_waiting():
    with start(workers=2) as limpet:
        held = [Connection(limpet.port) for _ in range(20)]
        per_worker(held)
        stuck, other = limpet.workers()
        os.kill(stuck, signal.SIGSTOP)
        try:
            more = [Connection(limpet.port) for _ in range(30)]
            assert {connection.request().text for connection in more} == {str(other)}
        finally:
            os.kill(stuck, signal.SIGCONT)
        for connection in held + more:
            connection.close()


@pytest.mark.parametrize("options", ["", "reuseport"])
def test_a_change_of_their_number_loses_no_connection(options):
    config = "worker_processes {count};" + CONFIG
    with Limpet(config, main="", options=options, connections=512, count=4) as limpet, Load(limpet.port) as load:
        for count in (1, 3, 2, 4):
            load.more(50)
            limpet.values["count"] = count
            limpet.reload(config)
            assert len(limpet.workers()) == count
        load.more(50)


# Pulse

def test_a_worker_whose_loop_stands_still_is_ended_and_replaced():
    with start(main="worker_rlimit_core 0; worker_watchdog 3s;") as limpet:
        victim = limpet.workers()[0]
        os.kill(victim, signal.SIGSTOP)
        pattern = rf"\[alert\].*worker process {victim} has not turned for \d+ s, it is ended with SIGABRT"
        wait_until(lambda: limpet.log_lines(pattern), "the seconds that a worker has")
        limpet.wait_log(rf"worker process {victim} exited on signal 6")
        wait_until(lambda: len(limpet.workers()) == 2, "the new worker")
        assert get(limpet.port).status == 200
        limpet.forgive()


@pytest.mark.parametrize("value, message", [
    ("2s", '"worker_watchdog" directive invalid value "2s": it is off, or at least 3s'),
    ("never", '"worker_watchdog" directive invalid value'),
])
def test_a_patience_that_cannot_be(value, message):
    with Limpet(CONFIG, workers=1, main=f"worker_watchdog {value};", options="", connections=9, start=False) as limpet:
        assert message in limpet.run("-t").stderr


def test_workers_that_crash_under_requests_are_replaced_at_once():
    with start(workers=2) as limpet:
        for crash in range(20):
            before = limpet.workers()
            victim = before[crash % 2]
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: victim not in (now := limpet.workers()) and len(now) == 2, "the new worker")
            (new,) = set(limpet.workers()) - set(before)
            wait_until(lambda: get(limpet.port).text == str(new), "an answer of the new worker")
        assert len(limpet.log_lines(r"\[alert\].*exited on signal 9")) == 20
        assert not limpet.log_lines("keeps dying")


def test_a_worker_that_keeps_dying_is_started_ever_more_rarely():
    with Limpet(CONFIG, workers=1, main="working_directory /nowhere;", options="", connections=9, start=False) as limpet:
        limpet.worker_count = lambda: 0  # none lives long enough to be seen
        limpet.start()
        lines = limpet.wait_log(r"\[error\].*keeps dying, it is started again in \d+ ms", count=3)
        delays = [int(re.search(r"in (\d+) ms", line)[1]) for line in lines]
        assert delays[:3] == [100, 200, 400]
        assert limpet.log_lines(r"\[emerg\].*chdir\(\"/nowhere\"\) failed")
        limpet.end(signal.SIGTERM)
        limpet.forgive()


# Rights and limits

@root_only
def test_workers_keep_none_of_roots_rights():
    with start(main="user nobody nogroup;") as limpet:
        for pid in limpet.workers():
            status = wait_until(lambda: (found := status_of(pid))["NoNewPrivs"] == "1" and found, "the worker")
            assert set(status["Uid"].split()) == {"65534"}, "real, effective, saved and file system user"
            assert set(status["Gid"].split()) == {"65534"}
            assert status["Groups"].split() in ([], ["65534"]), "root's supplementary groups are gone"
            for name in ("CapPrm", "CapEff", "CapAmb"):
                assert int(status[name], 16) == 0, name


def readable_by_its_user(pid):
    """Whether another process of the worker's user may look into its memory."""
    script = f"open('/proc/{pid}/maps').read()"
    done = subprocess.run(["/usr/bin/python3", "-c", script], user=65534, group=65534, extra_groups=[],
                          capture_output=True, text=True)
    assert done.returncode == 0 or "PermissionError" in done.stderr, done.stderr
    return done.returncode == 0


@root_only
@pytest.mark.parametrize("cores, readable", [("", False), ("worker_rlimit_core 0;", False), ("worker_rlimit_core 1m;", True),
                                             ("working_directory /tmp;", True)])
def test_a_workers_memory_is_its_own_unless_cores_are_asked_for(cores, readable):
    with start(main="user nobody nogroup;" + cores) as limpet:
        assert get(limpet.port).status == 200
        assert [readable_by_its_user(pid) for pid in limpet.workers()] == [readable, readable]


def test_limits_affinity_priority_and_directory():
    with start(main="worker_rlimit_nofile 777; worker_rlimit_core 1m; worker_priority 5; working_directory /tmp;"
                    "worker_cpu_affinity 01;") as limpet:
        for pid in limpet.workers():
            wait_until(lambda: os.readlink(f"/proc/{pid}/cwd") == "/tmp", "its directory")
            with open(f"/proc/{pid}/limits") as text:
                limits = text.read()
            assert re.search(r"Max open files +777 +777", limits)
            assert re.search(r"Max core file size +1048576 +1048576", limits)
            assert os.getpriority(os.PRIO_PROCESS, pid) == 5
            assert os.sched_getaffinity(pid) == {0}


def test_automatic_affinity_gives_each_worker_one_of_the_usable_cpus():
    usable = sorted(os.sched_getaffinity(0))
    with start(main="worker_cpu_affinity auto;", workers=len(usable) + 1) as limpet:
        wait_until(lambda: all(len(os.sched_getaffinity(pid)) == 1 for pid in limpet.workers()), "the pinning")
        own = [os.sched_getaffinity(pid).pop() for pid in limpet.workers()]
        assert sorted(own) == sorted(usable + usable[:1])


def test_a_worker_that_ends_says_so_in_its_title():
    with start(workers=1) as limpet:
        (worker,) = limpet.workers()
        with Connection(limpet.port) as connection, Connection(limpet.port) as other:
            connection.send("GET / HTTP/1.1\r\n")  # half a request holds its worker
            other.request()  # so the worker has seen the first one, too
            limpet.kill(signal.SIGQUIT)
            wait_until(lambda: title(worker) == "limpet: worker process is shutting down", "the title")
            connection.send("Host: x\r\n\r\n")
            assert connection.response().text == str(worker)
        limpet.process.wait(20)


# The pid file

def test_a_second_master_at_the_same_pid_file_is_refused():
    with start() as limpet:
        limpet.write("events { }")  # no address that could be taken
        other = limpet.run()
        assert other.returncode == 1
        assert re.search(rf"pid file .* is held by process {limpet.pid}, which runs", other.stderr)
        with open(limpet.path("limpet.pid")) as text:
            assert int(text.read()) == limpet.pid


# Alerts

def test_connections_of_a_worker_that_run_short_are_said_once_and_withdrawn_once():
    with start(workers=1, connections=20) as limpet:
        connections = [Connection(limpet.port) for _ in range(16)]
        for connection in connections:
            connection.request()
        (line,) = limpet.wait_log(r"\[warn\].*worker_connections reached 75%: 80% full, 16 of 20 connections in worker "
                                  r"process \d+, ")
        for connection in connections:
            connection.close()
        limpet.wait_log(r"\[notice\].*worker_connections is below 75%: \d+% full, \d+ of 20 connections")
        assert limpet.log_lines("worker_connections reached") == [line]


def test_open_files_that_run_short_are_said():
    with start(workers=1, main="worker_rlimit_nofile 60;") as limpet:
        connections = []
        try:
            while not limpet.log_lines("open files reached") and len(connections) < 40:
                connections.append(Connection(limpet.port))
                connections[-1].request()
            limpet.wait_log(r"open files reached \d+%: \d+% full, \d+ of 60 files in worker process \d+")
        finally:
            for connection in connections:
                connection.close()
        limpet.wait_log(r"\[notice\].*open files is below")

