"""What scripts/check-systemd runs in its container: limpet's package under the systemd that is process 1 there.

/check holds the package, the tests' own helpers and a directory `out` for what is worth keeping. Each step is a function;
they build on each other, from the installation to the purge. The first that does not hold ends it.
"""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import traceback

sys.path.insert(0, "/check/support")

from client import get  # noqa: E402
from load import Load  # noqa: E402
from origin import Origin, Reply  # noqa: E402
from waiting import wait_until  # noqa: E402

PORT, STATUS, SERVERS = 80, 8090, (8081, 8082)  # those of packaging/app.conf
WELCOME, SITE = "/etc/limpet/conf.d/default.conf", "/etc/limpet/conf.d/app.conf"
EXAMPLE = "/usr/share/doc/limpet/examples/app.conf"
UNIT = "/lib/systemd/system/limpet.service"
DROP_IN = "/lib/systemd/system/limpet.service.d/systemd-252.conf"
OVERRIDE = "/etc/systemd/system/limpet.service.d/check.conf"
CONFIG = "/etc/limpet/limpet.conf"
VERSION = int(re.search(r"systemd (\d+)", subprocess.run(["systemctl", "--version"], capture_output=True,
                                                         text=True).stdout)[1])
sessions = {}


def ok(text):
    print(f"  ok: {text}", flush=True)


def run(*command, status=0):
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    if status is not None and done.returncode != status:
        raise AssertionError(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def keep(name, *command):
    """What a command prints, for whoever looks at it later."""
    with open(f"/check/out/{name}-{VERSION}", "w") as out:
        out.write(run(*command, status=None))


def shown(name):
    return run("systemctl", "show", "-P", name, "limpet").strip()


def main_pid():
    return int(shown("MainPID"))


def workers():
    pid = main_pid()
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return set(children.read().split())


def is_active():
    return shown("ActiveState") == "active"


def override(text):
    """Settings of the unit for one step; None takes them back."""
    os.makedirs(os.path.dirname(OVERRIDE), exist_ok=True)
    if text is None:
        os.unlink(OVERRIDE)
    else:
        with open(OVERRIDE, "w") as out:
            out.write(text)
    run("systemctl", "daemon-reload")


def edit(path, pattern, replacement):
    with open(path) as text:
        old = text.read()
    new = re.sub(pattern, replacement, old, flags=re.MULTILINE)
    assert new != old, f"nothing like {pattern!r} in {path}"
    with open(path, "w") as out:
        out.write(new)


def restart():
    run("systemctl", "reset-failed", "limpet")  # so many starts in so short a time look like a failure to systemd
    run("systemctl", "restart", "limpet")


def active_sessions():
    return json.loads(run("limpet", "sessions", "sessions", "--json"))["active"]


def check_sessions(when):
    for session, server in sessions.items():
        answer = get(PORT, cookies={"session": session})
        assert (answer.status, answer.text) == (200, server), f"{session} of {server}: {answer.status} {answer.text}"
    active = active_sessions()
    assert active == len(sessions), f"{active} sessions instead of {len(sessions)} {when}"
    ok(f"{len(sessions)} sessions are where they were {when}")


def load():
    """Clients with sessions: an answer of another server, or none, is a failure."""
    return Load(PORT, cookies=[{"session": session} for session in list(sessions)[:4]],
                check=lambda response, cookies: response.text == sessions[cookies["session"]])


def teacher(name):
    def respond(request):
        known = request.header("cookie")
        return Reply(name.encode(), headers=[] if known else [("Set-Cookie", f"session={name}{os.urandom(6).hex()}")])
    return respond


# The steps


def install():
    run("dpkg", "-i", *[f"/check/{name}" for name in os.listdir("/check") if name.endswith(".deb")])
    wait_until(is_active, "the unit to be active after the installation")
    assert run("systemctl", "is-enabled", "limpet").strip() == "enabled"
    assert "workers" in shown("StatusText"), shown("StatusText")
    for pid in workers():
        assert run("ps", "-o", "user=", "-p", pid).strip() == "limpet"
    for name in os.listdir("/proc"):
        if name.isdigit() and name == str(main_pid()):
            assert "Seccomp:\t2" in open(f"/proc/{name}/status").read(), "it runs under a filter of system calls"
    ok(f"installed, started and enabled; status: {shown('StatusText')}")
    keep("status", "systemctl", "status", "--no-pager", "--full", "limpet")
    assert "limpet runs" in get(PORT).text, "a fresh installation says what to do next"
    os.unlink(WELCOME)
    shutil.copy(EXAMPLE, SITE)
    before = workers()
    run("systemctl", "reload", "limpet")
    wait_until(lambda: not before & workers(), "workers that know the example")


def use_the_unit_as_it_is():
    if VERSION < 253:
        assert shown("Type") == "notify"
        ok("systemd does not know notify-reload: the drop-in is used")
        return
    if os.path.exists(DROP_IN):
        os.unlink(DROP_IN)
        run("systemctl", "daemon-reload")
    restart()
    assert shown("Type") == "notify-reload"
    ok("Type=notify-reload")


def be_locked_down():
    keep("security", "systemd-analyze", "security", "--no-pager", "limpet")
    text = run("systemd-analyze", "security", "--no-pager", "--threshold=30", "limpet")
    ok(text.strip().splitlines()[-1].lstrip("→ "))
    problems = run("systemd-analyze", "verify", "--man=no", UNIT, "/lib/systemd/system/limpet.socket", status=None)
    allowed = [line for line in problems.splitlines() if VERSION >= 253 or "notify-reload" not in line]
    assert not allowed, allowed
    ok("systemd-analyze verify")


def learn():
    for _ in range(40):
        answer = get(PORT)
        sessions[answer.cookie("session")] = answer.text
    assert set(sessions.values()) == {"a", "b"}, "both servers are used"
    check_sessions("after learning")


def reload():
    with load() as clients:
        clients.more()
        for number in range(5):
            before = workers()
            run("systemctl", "reload", "limpet")
            if shown("Type") == "notify-reload":  # which returns when limpet says that it is done
                assert f"configuration {number + 2}" in shown("StatusText"), shown("StatusText")
            wait_until(lambda: before and not before & workers() and workers(), "new workers")
            clients.more()
    check_sessions("after five reloads under load")
    edit(CONFIG, "^events", "evnets")
    run("systemctl", "reload", "limpet")
    wait_until(lambda: "wrong" in shown("StatusText"), "the status to say that the configuration is wrong")
    assert is_active()
    ok(f"a wrong configuration changes nothing; status: {shown('StatusText')}")
    run("systemctl", "restart", "limpet", status=1)
    edit(CONFIG, "^evnets", "events")
    restart()
    check_sessions("after a restart that a wrong configuration refused, and another")


def restart_thrice():
    for _ in range(3):
        before = main_pid()
        restart()
        assert main_pid() != before
    check_sessions("after three restarts")


def crash():
    restart()
    before = main_pid()
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: main_pid() not in (0, before) and is_active(), "systemd to start it again")
    check_sessions("after the master was killed")
    wait_until(lambda: set(active_workers()) == workers(), "the killed master's workers to be gone")


def active_workers():
    return [pid for pid in run("pgrep", "-u", "limpet", status=None).split()]


def watchdog():
    override("[Service]\nWatchdogSec=2s\n")
    restart()
    before = main_pid()
    os.kill(before, signal.SIGSTOP)
    wait_until(lambda: main_pid() not in (0, before) and is_active(), "the watchdog", 60)
    override(None)
    restart()
    check_sessions("after the watchdog ended a master that stood still")


def journal():
    edit(CONFIG, r"^error_log .*$", "error_log stderr notice;\nerror_log syslog:server=unix:/dev/log,tag=told,nohostname notice;")
    restart()
    pid = main_pid()
    for what in (("-u", "limpet", f"_PID={pid}"), ("-t", "told")):
        wait_until(lambda: "start worker processes" in run("journalctl", "--no-pager", "-o", "cat", *what),
                   f"lines in the journal: {what}")
    keep("journal", "journalctl", "--no-pager", "-u", "limpet")
    ok("its lines are in the journal, of stderr and of syslog")


def change_the_binary():
    old = main_pid()
    with load() as clients:
        clients.more()
        os.kill(old, signal.SIGUSR2)
        wait_until(lambda: os.path.exists("/run/limpet.pid.oldbin") and os.path.exists("/run/limpet.pid"), "the new master")
        new = wait_until(lambda: (pid := int(open("/run/limpet.pid").read() or 0)) != old and pid, "its process id")
        clients.more()
        os.kill(old, signal.SIGQUIT)
        wait_until(lambda: main_pid() == new, "systemd to follow the new master")
        wait_until(lambda: not os.path.exists(f"/proc/{old}"), "the old one to end")
        clients.more()
    wait_until(lambda: is_active() and "workers" in shown("StatusText"), "the new master to report itself")
    run("systemctl", "reload", "limpet")
    check_sessions("after a change of the binary under load, and a reload")


def activate_by_socket():
    run("systemctl", "stop", "limpet")
    run("systemctl", "enable", "--now", "limpet.socket")
    assert not is_active()
    assert get(PORT, cookies={"session": next(iter(sessions))}).status == 200, "the first connection starts it"
    assert is_active()
    with socket.create_connection(("127.0.0.1", PORT)) as early:  # refused by nobody while it restarts
        run("systemctl", "stop", "limpet")
        early.close()
    waiting = [socket.create_connection(("127.0.0.1", PORT), timeout=20) for _ in range(3)]
    for one in waiting:
        one.sendall(f"GET / HTTP/1.0\r\nCookie: session={next(iter(sessions))}\r\n\r\n".encode())
        assert one.makefile("rb").read().startswith(b"HTTP/1.1 200")
        one.close()
    run("systemctl", "disable", "--now", "limpet.socket")
    restart()
    ok("sockets of systemd: connections wait while it is not there")


def rotate_logs():
    run("logrotate", "-f", "/etc/logrotate.d/limpet")
    cookies = {"session": next(iter(sessions))}
    wait_until(lambda: get(PORT, "/after", cookies=cookies).status and "/after" in open("/var/log/limpet/access.log").read(), "the new log")
    ok("logrotate")


def install_again():
    before = main_pid()
    run("dpkg", "-i", *[f"/check/{name}" for name in os.listdir("/check") if name.endswith(".deb")])
    wait_until(lambda: main_pid() not in (0, before) and is_active(), "the new binary")
    check_sessions("after an upgrade of the package, which changes the binary")


def killed_by_systemd():
    return run("journalctl", "--no-pager", "-o", "cat", "-u", "limpet").count("with signal SIGKILL")


def remove():
    pid, killed = main_pid(), killed_by_systemd()
    run("dpkg", "--remove", "limpet")
    assert killed_by_systemd() == killed, "systemd did not wait for its end"
    assert not os.path.exists(f"/proc/{pid}") and os.path.exists(CONFIG)
    assert not os.path.exists(UNIT)
    os.unlink(SITE)
    run("dpkg", "--purge", "limpet")
    left = [path for path in ("/etc/limpet", "/var/log/limpet", "/var/lib/limpet", "/run/limpet.pid", "/run/limpet.sock",
                              "/etc/systemd/system/multi-user.target.wants/limpet.service") if os.path.lexists(path)]
    left += [f"/dev/shm/{name}" for name in os.listdir("/dev/shm")]
    assert not left, f"left: {left}"
    run("getent", "passwd", "limpet", status=2)
    assert "not-found" in run("systemctl", "show", "-P", "LoadState", "limpet")
    ok("stopped, removed and purged: nothing is left")


STEPS = (install, use_the_unit_as_it_is, be_locked_down, learn, reload, restart_thrice, crash, watchdog, journal, rotate_logs,
         change_the_binary, activate_by_socket, install_again, remove)


def main():
    servers = [Origin(name, respond=teacher(name), port=port) for name, port in zip("ab", SERVERS)]
    try:
        for step in STEPS:
            print(step.__name__.replace("_", " "), flush=True)
            step()
    except Exception as error:  # whatever it is, the step does not hold
        traceback.print_exc()
        print(f"error: {type(error).__name__}: {error}", flush=True)
        keep("failed-journal", "journalctl", "--no-pager", "-b", "-n", "200")
        keep("failed-log", "cat", "/var/log/limpet/error.log")
        return 1
    for server in servers:
        server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
