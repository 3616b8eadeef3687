"""The control socket: what the command line asks of the running master."""
import json
import os
import re
import socket
import stat
import subprocess

import pytest

from client import get
from daemon import BINARY, Limpet
from sessions import LEARNING_UPSTREAM, opens_sessions
from waiting import wait_until

CONFIG = """
{main}
events { }
http {
""" + LEARNING_UPSTREAM + """
    upstream plain { server 127.0.0.1:{a}; }
    server {
        listen {port};
        location / { proxy_pass http://app; }
        location /plain { proxy_pass http://plain; }
        location /status/ { api /status/; }
    }
}
"""


@pytest.fixture
def limpet(origins):
    (a,), (b,) = origins("a", respond=opens_sessions("a")), origins("b", respond=opens_sessions("b"))
    with Limpet(CONFIG, workers=2, a=a.port, b=b.port, main="") as made:
        wait_until(lambda: os.path.exists(made.path("limpet.sock")), "the control socket")
        yield made


def ask(limpet, *words):
    done = limpet.run(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ask_json(limpet, *words):
    return json.loads(ask(limpet, *words, "--json"))


def refused(limpet, *words):
    done = limpet.run(*words)
    assert done.returncode == 1 and done.stdout == ""
    return done.stderr


def rows(table):
    head, *lines = [line.split() for line in table.splitlines()]
    return [dict(zip(head, line)) for line in lines]


def test_sessions_as_a_table_and_as_json(limpet):
    for _ in range(5):
        get(limpet.port)
    (row,) = rows(ask(limpet, "sessions"))
    page = json.loads(get(limpet.port, "/status/sessions/one").text)
    assert (row["ZONE"], row["ACTIVE"], row["CREATED"]) == ("one", "5", "5")
    assert row["CAPACITY"] == str(page["capacity"])
    assert rows(ask(limpet, "sessions", "one")) == [row]
    assert ask_json(limpet, "sessions", "one")["active"] == 5
    assert ask_json(limpet, "sessions")["one"]["capacity"] == page["capacity"]
    assert "no such session zone" in refused(limpet, "sessions", "two")


def test_servers(limpet):
    for _ in range(4):
        get(limpet.port)
    found = rows(ask(limpet, "servers", "app"))
    assert [row["SERVER"] for row in found] == [f"127.0.0.1:{limpet.values[name]}" for name in "ab"]
    assert [row["STATE"] for row in found] == ["up", "up"]
    assert [row["REQUESTS"] for row in found] == ["2", "2"]
    assert sum(int(row["SESSIONS"]) for row in found) == 4
    assert '"zone"' in ask(limpet, "servers", "plain"), "what the master cannot know is not made up"


def test_a_drained_server_keeps_its_sessions_and_gets_no_new_ones(limpet):
    sessions = [get(limpet.port).cookie("s") for _ in range(6)]
    server = f"127.0.0.1:{limpet.values['a']}"
    assert "drain" in ask(limpet, "drain", "app", server)
    assert {get(limpet.port).text for _ in range(6)} == {"b"}
    assert all(get(limpet.port, cookies={"s": session}).text == session[0] for session in sessions)
    assert "up" in ask(limpet, "restore", "app", server)
    assert {get(limpet.port).text for _ in range(6)} == {"a", "b"}


def test_a_drain_with_a_deadline_ends_bound_sessions_too(limpet):
    session = next(s for s in (get(limpet.port).cookie("s") for _ in range(4)) if s[0] == "a")
    ask(limpet, "drain", "app", f"127.0.0.1:{limpet.values['a']}", "--deadline", "100ms")
    wait_until(lambda: get(limpet.port, cookies={"s": session}).text == "b", "the deadline")


def test_a_session_is_forgotten(limpet):
    session = get(limpet.port).cookie("s")
    assert ask(limpet, "forget", "one", session) == "1 session forgotten\n"
    assert ask_json(limpet, "sessions", "one")["active"] == 0
    assert "no such session" in refused(limpet, "forget", "one", session)


def test_status(limpet):
    assert ask_json(limpet, "status")["generation"] == 1
    limpet.reload()
    assert ask_json(limpet, "status")["generation"] == 2
    assert "generation" in ask(limpet, "status")


@pytest.mark.parametrize("words, message", [
    (["drain", "app"], "usage: limpet drain UPSTREAM SERVER"),
    (["drain", "app", "x"], "no such server"),
    (["drain", "nobody", "x"], "no such upstream"),
    (["drain", "plain", "127.0.0.1:A"], '"zone"'),
    (["drain", "app", "x", "--deadline", "soon"], 'invalid time "soon"'),
    (["forget", "one"], "usage: limpet forget ZONE KEY"),
    (["sessions", "one", "more"], "usage: limpet sessions"),
])
def test_what_is_wrong_is_said(limpet, words, message):
    words = [word.replace(":A", f":{limpet.values['a']}") for word in words]
    assert message in refused(limpet, *words)


def test_only_its_owner_may_connect(limpet):
    path = limpet.path("limpet.sock")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    if os.geteuid() != 0:
        return
    os.chmod(path, 0o666)  # even where somebody opens the file: the kernel says who connects
    script = f"""import socket
s = socket.socket(socket.AF_UNIX)
s.connect({path!r})
try:
    s.sendall(b'{{"method":"GET","path":""}}\\n')
    print(s.recv(9))
except OSError:
    print(b'')"""
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c", script],
                          capture_output=True, text=True, timeout=20)
    assert done.stdout == "b''\n", done.stderr


def talk(limpet, data, finish=False):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(limpet.path("limpet.sock"))
        client.sendall(data)
        if finish:
            client.shutdown(socket.SHUT_WR)
        reply = b""
        while (part := client.recv(65536)):
            reply += part
        return reply


@pytest.mark.parametrize("line", [b"rubbish\n", b"{}\n", b"[]\n", b"null\n", b'{"command":7}\n', b'{"command":"no"}\n',
                                  b'{"method":"PATCH","path":"upstreams/app/peers/x","body":7}\n',
                                  b'{"method":"BREW","path":""}\n', b"\xff\xfe\n"])
def test_bad_requests_get_an_answer(limpet, line):
    answer = json.loads(talk(limpet, line))
    assert 400 <= answer["status"] < 500 and answer["body"]["error"]


def test_who_does_not_finish_a_request_holds_nobody_up(limpet):
    silent = [socket.socket(socket.AF_UNIX) for _ in range(10)]
    for client in silent:
        client.connect(limpet.path("limpet.sock"))
        client.send(b'{"method":')
    assert ask_json(limpet, "status")["generation"] == 1
    assert talk(limpet, b'{"method"', finish=True) == b""
    limpet.reload()
    assert ask_json(limpet, "status")["generation"] == 2
    for client in silent:
        client.close()


def test_it_can_be_elsewhere_or_not_be(limpet):
    limpet.values["main"] = f"control_socket {limpet.path('other')};"
    limpet.reload(CONFIG)
    assert os.path.exists(limpet.path("other")) and not os.path.exists(limpet.path("limpet.sock"))
    assert ask_json(limpet, "status")["generation"] == 2
    limpet.values["main"] = "control_socket off;"
    limpet.reload(CONFIG)
    assert not os.path.exists(limpet.path("other"))
    assert "control_socket off" in refused(limpet, "status")


def test_t_says_how_many_sessions_a_zone_holds(limpet):
    capacity = ask_json(limpet, "sessions", "one")["capacity"]
    assert re.search(rf'session zone "one" of 1048576 bytes holds {capacity} sessions', limpet.run("-t").stderr)


def test_silent_clients_keep_no_operator_out(limpet):
    silent = []
    try:
        for _ in range(40):
            silent.append(socket.socket(socket.AF_UNIX))
            silent[-1].connect(limpet.path("limpet.sock"))
            if len(silent) >= 16:
                assert len(ask_json(limpet, "status")["workers"]) == 2
    finally:
        for client in silent:
            client.close()


BROKEN = """
worker_processes 2
events { }
http {
    upstream app { server nobody.invalid:80; }
    retour 200;
"""


@pytest.mark.parametrize("text", [BROKEN, "", "{", None])
def test_commands_need_no_good_configuration(limpet, text):
    path = limpet.path("limpet.conf")
    if text is None:
        os.unlink(path)
    else:
        limpet.write(text)
    before = limpet.log()
    server = f"127.0.0.1:{limpet.values['a']}"
    assert "drain" in ask(limpet, "drain", "app", server)
    assert ask_json(limpet, "servers", "app")["peers"][0]["state"] in ("draining", "drained")
    assert limpet.run("-s", "reopen").returncode == 0
    limpet.wait_log("reopening logs")
    assert not [line for line in limpet.log()[len(before):].splitlines() if "[emerg]" in line]
    assert limpet.run("-s", "reload").returncode == 1, "whoever asks for it wants to know"


def test_a_master_is_found_by_its_socket_alone(limpet):
    def elsewhere(*words):
        return subprocess.run([BINARY, "-p", limpet.path("nowhere"), *words], capture_output=True, text=True, timeout=20)

    socket_path = limpet.path("limpet.sock")
    for words in (["--socket", socket_path, "status", "--json"], ["status", "--json", "--socket", socket_path]):
        done = elsewhere(*words)
        assert done.returncode == 0 and json.loads(done.stdout)["master_pid"] == limpet.pid
    assert elsewhere("status").returncode == 3, "nobody answers there"
    assert 'option "--socket" requires file name' in elsewhere("status", "--socket").stderr


def test_commands_make_no_log(limpet):
    log = limpet.path("never.log")
    command = [word if word != "error.log" else log for word in limpet.command()]
    for words in (["status"], ["-s", "reopen"]):
        done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=20)
        assert done.returncode == 0 and not os.path.exists(log)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_another_user_is_told_who_may_ask(limpet):
    def become():
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)

    with open(BINARY, "rb") as binary:  # its folder may be closed to that user
        done = subprocess.run([f"/proc/self/fd/{binary.fileno()}", "--socket", limpet.path("limpet.sock"), "status"],
                              capture_output=True, text=True, timeout=20, preexec_fn=become, pass_fds=[binary.fileno()])
    assert done.returncode == 3 and "(13: Permission denied): only root and the user" in done.stderr, done
