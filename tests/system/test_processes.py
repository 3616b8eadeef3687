"""Master and workers: replaced when they die, gone when told to go."""
import fcntl
import os
import pty
import signal
import socket
import struct
import subprocess
import termios

import pytest

from client import Connection, get
from daemon import Limpet, alive
from origin import Reply
from waiting import wait_until

CONFIG = """
events { }
http {
    server {
        listen {port};
        listen unix:{dir}/socket;
        location / { return 200 here; }
        location /slow { proxy_pass http://127.0.0.1:{origin}; }
    }
}
"""


def start(**values):
    return Limpet(CONFIG, workers=2, **{"origin": 1, **values})


def test_a_killed_worker_is_replaced():
    with start() as limpet:
        before = limpet.workers()
        os.kill(before[0], signal.SIGKILL)
        limpet.wait_log(rf"\[alert\].*worker process {before[0]} exited on signal 9")
        wait_until(lambda: len(limpet.workers()) == 2, "the new worker")
        assert before[0] not in limpet.workers()
        assert get(limpet.port).text == "here"


def test_a_worker_that_is_told_to_end_is_replaced_without_an_alarm():
    with start() as limpet:
        victim = limpet.workers()[0]
        os.kill(victim, signal.SIGTERM)
        limpet.wait_log(rf"\[notice\].*worker process {victim} exited with code 0")
        wait_until(lambda: len(limpet.workers()) == 2, "the new worker")
        assert not limpet.log_lines(r"\[alert\]")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_it_ends_with_all_its_processes_and_files(how):
    with start() as limpet:
        assert os.path.exists(limpet.path("socket"))
        assert limpet.end(how) == 0
        assert not os.path.exists(limpet.path("limpet.pid"))
        assert not os.path.exists(limpet.path("socket"))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", limpet.port))


def test_quit_lets_requests_in_flight_end(origins):
    (origin,) = origins("slow", respond=lambda request: Reply(b"at last", delay=0.5))
    with start(origin=origin.port) as limpet:
        with Connection(limpet.port) as connection:
            connection.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_until(lambda: origin.hits == 1, "the request at the origin")
            limpet.kill(signal.SIGQUIT)
            assert connection.response().text == "at last"
        assert limpet.process.wait(20) == 0


def test_workers_end_when_their_master_is_killed():
    with start() as limpet:
        workers = limpet.workers()
        limpet.kill(signal.SIGKILL)
        limpet.process.wait(20)
        wait_until(lambda: not any(alive(pid) for pid in workers), "the orphans to end")


def test_logs_are_reopened():
    with start() as limpet:
        os.rename(limpet.path("error.log"), limpet.path("error.log.1"))
        limpet.kill(signal.SIGUSR1)
        wait_until(lambda: os.path.exists(limpet.path("error.log")), "the new log")
        os.kill(limpet.workers()[0], signal.SIGTERM)
        limpet.wait_log("start worker process")


def test_processes_have_titles():
    with start() as limpet:
        def title(pid):
            with open(f"/proc/{pid}/cmdline") as text:
                return text.read().rstrip("\0")

        assert title(limpet.pid).startswith("limpet: master process")
        wait_until(lambda: all(title(pid) == "limpet: worker process" for pid in limpet.workers()), "titles")


def test_a_single_process_reloads_too():
    config = "master_process off;" + CONFIG
    with Limpet(config, origin=1) as limpet:
        assert get(limpet.port).text == "here" and limpet.workers() == []
        with Connection(limpet.port) as idle:
            assert idle.request().text == "here"
            limpet.write(config.replace("return 200 here", "return 200 there"))
            limpet.kill(signal.SIGHUP)
            wait_until(lambda: get(limpet.port).text == "there", "the new configuration")
        limpet.write(config.replace("return 200 here", "retour 200"))
        limpet.kill(signal.SIGHUP)
        limpet.wait_log(r'\[emerg\].*unknown directive "retour"')
        assert get(limpet.port).text == "there"
        assert limpet.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGQUIT])
def test_a_single_process_that_reloads_can_still_be_ended(origins, how):
    (origin,) = origins("slow", respond=lambda request: Reply(b"at last", delay=1))
    with Limpet("master_process off;" + CONFIG, origin=origin.port) as limpet:
        with Connection(limpet.port) as connection:
            connection.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_until(lambda: origin.hits == 1, "the request at the origin")
            limpet.kill(signal.SIGHUP)
            limpet.wait_log("gracefully shutting down")
            assert limpet.end(how) == 0
            assert not limpet.log_lines("reconfiguring")


def test_a_window_that_changes_its_size_means_nothing_to_a_limpet_in_the_foreground():
    terminal, inside = pty.openpty()
    with Limpet("events { } http { server { listen {port}; return 200; } }", workers=1, start=False) as limpet:
        limpet.process = subprocess.Popen(limpet.command(), stdin=inside, start_new_session=True,
                                          preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(inside)
        wait_until(lambda: os.path.exists(limpet.path("limpet.pid")) and limpet.workers(), "its start")
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        (line,) = limpet.wait_log("SIGWINCH")
        assert line.endswith("(SIGWINCH) received")
        assert get(limpet.port).status == 200
        assert limpet.end() == 0
    os.close(terminal)
