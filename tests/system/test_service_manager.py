"""What systemd hears and gives: the notify protocol against a socket of the test's own, and socket activation."""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest

from client import get
from daemon import Limpet, alive
from ports import free_port
from waiting import PATIENCE, wait_until

CONFIG = """
events { }
http {
    server { listen 127.0.0.1:{port}; location / { return 200 {answer}; } }
}
"""


class Manager:
    """Reads notifications as systemd does."""

    def __init__(self, abstract):
        self.dir = tempfile.mkdtemp(prefix="limpet-notify-")
        self.address = f"@limpet-test-{os.getpid()}-{free_port()}" if abstract else os.path.join(self.dir, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + self.address[1:] if abstract else self.address)
        self.socket.settimeout(PATIENCE)

    def message(self):
        return dict(line.split("=", 1) for line in self.socket.recv(4096).decode().splitlines() if line)

    def next(self, wanted):
        """The next message that has such a field; others are passed over."""
        while wanted not in (fields := self.message()):
            pass
        return fields

    def close(self):
        self.socket.close()
        shutil.rmtree(self.dir)


@pytest.fixture(params=[False, True], ids=["path", "abstract"])
def manager(request):
    made = Manager(request.param)
    yield made
    made.close()


def start(manager, monkeypatch, **environment):
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Limpet(CONFIG, workers=2, answer="here")


def monotonic_usec():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def test_start_reload_and_stop_are_told(manager, monkeypatch):
    with start(manager, monkeypatch) as limpet:
        ready = manager.next("READY")
        assert ready["READY"] == "1" and ready["MAINPID"] == str(limpet.pid) and "2 workers" in ready["STATUS"]
        before = monotonic_usec()
        limpet.reload()
        reloading = manager.next("RELOADING")
        assert reloading["RELOADING"] == "1"
        assert before <= int(reloading["MONOTONIC_USEC"]) <= monotonic_usec()
        assert "configuration 2" in manager.next("READY")["STATUS"]
        limpet.kill(signal.SIGQUIT)
        assert manager.next("STOPPING")["STOPPING"] == "1"
        limpet.process.wait(20)


def test_a_reload_that_fails_ends_too(manager, monkeypatch):
    with start(manager, monkeypatch) as limpet:
        manager.next("READY")
        limpet.write("rubbish;")
        limpet.kill(signal.SIGHUP)
        manager.next("RELOADING")
        assert "wrong" in manager.next("READY")["STATUS"]


def test_the_watchdog_hears_from_it(manager, monkeypatch):
    with start(manager, monkeypatch, WATCHDOG_USEC="200000"):
        for _ in range(3):
            assert manager.next("WATCHDOG")["WATCHDOG"] == "1"


def test_a_watchdog_for_somebody_else_does_not(manager, monkeypatch):
    with start(manager, monkeypatch, WATCHDOG_USEC="100000", WATCHDOG_PID="1") as limpet:
        limpet.reload()
        while "configuration 2" not in (fields := manager.message()).get("STATUS", ""):
            assert "WATCHDOG" not in fields


def test_a_change_of_binary_hands_the_service_over(manager, monkeypatch):
    def new_pid():
        try:
            with open(limpet.path("limpet.pid")) as text:
                pid = int(text.read())
        except (OSError, ValueError):
            return None
        return pid if pid != limpet.pid else None

    with start(manager, monkeypatch) as limpet:
        manager.next("READY")
        limpet.kill(signal.SIGUSR2)
        new = wait_until(new_pid, "the new pid file")
        limpet.kill(signal.SIGQUIT)
        handed_over = manager.next("MAINPID")
        assert handed_over["MAINPID"] == str(new) and "READY" not in handed_over, "by the old one: it is the one believed"
        limpet.process.wait(20)
        assert manager.next("READY")["MAINPID"] == str(new)
        os.kill(new, signal.SIGTERM)
        manager.next("STOPPING")
        wait_until(lambda: not alive(new), "the new one to end")


def test_a_reload_while_a_new_binary_runs_is_answered(manager, monkeypatch):
    with start(manager, monkeypatch) as limpet:
        manager.next("READY")
        limpet.kill(signal.SIGUSR2)
        limpet.wait_log("start new binary process")
        for state, status in (("serving", "A new binary runs"), ("resting", "2 workers")):
            if state == "resting":
                limpet.kill(signal.SIGWINCH)
                limpet.wait_log("received.*, ending the workers")
            limpet.kill(signal.SIGHUP)
            manager.next("RELOADING")
            assert status in manager.next("READY")["STATUS"]
        new = int(limpet.log_lines("start new binary process")[0].split()[-1])
        os.kill(new, signal.SIGTERM)
        limpet.wait_log(r"new binary process \d+ has ended")


# Says who it is, as systemd does between fork and exec.
ACTIVATE = ("import os, sys; os.environ['LISTEN_PID'] = str(os.getpid()); os.environ['LISTEN_FDS'] = '1';"
            "os.execv(sys.argv[1], sys.argv[1:])")


def test_sockets_of_the_service_manager_are_used():
    # The socket stays open here, as it does in systemd: to bind its address anew would fail.
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        port = listening.getsockname()[1]
        with (Limpet(CONFIG, workers=2, answer="activated", port=port, start=False) as limpet,
              socket.create_connection(("127.0.0.1", port), timeout=20) as early):  # before there is any process
            early.sendall(b"GET / HTTP/1.0\r\n\r\n")
            with open(limpet.path("output"), "ab") as output:
                limpet.process = subprocess.Popen(["/usr/bin/python3", "-c", ACTIVATE, *limpet.command()], close_fds=False,
                                                  preexec_fn=lambda: os.dup2(listening.fileno(), 3),
                                                  stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            wait_until(limpet._started, "the start")
            limpet.wait_log("using 1 inherited sockets")
            assert b"activated" in early.makefile("rb").read()
            limpet.reload()
            assert get(port).text == "activated"
            limpet.end()
            socket.create_connection(("127.0.0.1", port), timeout=20).close()  # it is the manager's, still


def test_the_unit_is_locked_down():
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd here")
    unit = os.path.join(os.path.dirname(__file__), "../../packaging/systemd/limpet.service")
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=30", unit],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout.splitlines()[-1:]
