"""Who ends gives up its place at once: addresses, pid file, zones and sockets are the next one's, however late the last request ends."""
import json
import os
import signal
import socket
import subprocess

import pytest

from client import Connection, get
from daemon import Limpet, alive
from origin import Reply
from ports import free_port
from waiting import PATIENCE, wait_until

CONFIG = """
events { }
http {
    upstream app {
        zone app 256k;
        server 127.0.0.1:{a};
        server 127.0.0.1:{b};
        sticky learn create=$upstream_cookie_s lookup=$cookie_s zone=sessions:1m timeout=1h;
    }
    server {
        listen 127.0.0.1:{port};
        listen unix:{dir}/http.sock;
        {more}
        location / {
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_pass http://app;
        }
    }
}
"""
HELLO = "GET /socket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"


def named(name):
    """Says its name, and begins the session that the path names."""
    return lambda request: Reply(name.encode(), headers=[("Set-Cookie", f"s={request.target[1:]}")])


@pytest.fixture
def backends(origins):
    a, b = origins("a", "b")
    a.respond, b.respond = named("a"), named("b")
    return {"a": a.port, "b": b.port}


class Tunnel:
    """A WebSocket's connection, as far as a proxy can tell."""

    def __init__(self, port):
        self.connection = Connection(port)
        self.connection.send(HELLO)
        assert self.connection.response().status == 101
        self.echo()

    def echo(self):
        self.connection.send(b"hello")
        assert self.connection.stream.read(5) == b"hello"

    def close(self):
        self.connection.close()


def refused(port):
    """Not yet, if a listener ends while we are in its queue: the kernel resets us, whoever listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
        return False
    except ConnectionResetError:
        return False
    except ConnectionRefusedError:
        return True


def server_of(port, session):
    return get(port, "/again", cookies={"s": session}).text


def start_again(limpet):
    """A second one in the place of the first, which still runs; the first one's process."""
    old = limpet.process
    wait_until(lambda: refused(limpet.port), "the old one to stop listening")
    with open(limpet.path("output"), "ab") as output:
        limpet.process = subprocess.Popen(limpet.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def serves():
        assert limpet.process.poll() is None, open(limpet.path("output")).read()
        return pid_in_file(limpet) == limpet.pid and not refused(limpet.port)
    wait_until(serves, "the new one")
    return old


def states(limpet):
    peers = json.loads(limpet.run("servers", "app", "--json").stdout)["peers"]
    return [peer["state"] for peer in sorted(peers, key=lambda peer: peer["server"] != f"127.0.0.1:{limpet.values['a']}")]


def pid_in_file(limpet):
    with open(limpet.path("limpet.pid")) as file:
        return int(file.read())


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGKILL], ids=["QUIT", "KILL"])
def test_the_next_one_starts_while_a_websocket_is_open(backends, number):
    with Limpet(CONFIG, workers=2, more="", **backends) as limpet:
        homes = {session: get(limpet.port, f"/{session}").text for session in ("one", "two", "three", "four")}
        tunnel = Tunnel(limpet.port)
        workers = limpet.workers()
        limpet.kill(number)
        old = start_again(limpet)
        tunnel.echo()
        assert {session: server_of(limpet.port, session) for session in homes} == homes
        homes["late"] = get(limpet.port, "/late").text
        assert limpet.run("drain", "app", f"127.0.0.1:{backends['a']}").returncode == 0
        wait_until(lambda: os.path.exists(limpet.path("state/servers")), "the drain to be kept")
        tunnel.close()
        old.wait(PATIENCE)
        wait_until(lambda: not any(map(alive, workers)), "the end of the old workers")
        assert pid_in_file(limpet) == limpet.pid
        assert {session: server_of(limpet.port, session) for session in homes} == homes
        assert limpet.run("-s", "reload").returncode == 0
        limpet.wait_log("reconfiguring")
        assert limpet.run("status").returncode == 0
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(limpet.path("http.sock"))
        limpet.kill(signal.SIGKILL)
        limpet.process.wait(PATIENCE)  # what it has learned outlives it
        start_again(limpet)
        assert {session: server_of(limpet.port, session) for session in homes} == homes
        assert states(limpet) == ["draining", "up"], "nor has the first one's end undone what was done since"
        limpet.end()
        assert not os.path.exists(limpet.path("limpet.pid")) and not os.path.exists(limpet.path("http.sock"))


def test_an_address_that_is_configured_no_more_is_refused_at_once(backends):
    second = free_port()
    with Limpet(CONFIG, workers=2, more=f"listen 127.0.0.1:{second};", **backends) as limpet:
        tunnel = Tunnel(second)
        limpet.values["more"] = ""
        limpet.write(CONFIG)
        limpet.kill(signal.SIGHUP)
        wait_until(lambda: refused(second), "the port to be closed")
        tunnel.echo()
        assert get(limpet.port, "/x").status == 200
        tunnel.close()


def test_a_single_process_gives_up_its_place_too(backends):
    with Limpet("master_process off;" + CONFIG, more="", **backends) as limpet:
        tunnel = Tunnel(limpet.port)
        limpet.kill(signal.SIGQUIT)
        old = start_again(limpet)
        tunnel.echo()
        tunnel.close()
        old.wait(PATIENCE)
        assert pid_in_file(limpet) == limpet.pid
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(limpet.path("http.sock"))
        assert get(limpet.port, "/x").status == 200


def test_after_a_change_of_binary_the_old_one_ends_late_and_takes_nothing(backends):
    with Limpet(CONFIG, workers=1, more="", **backends) as limpet:
        tunnel = Tunnel(limpet.port)
        limpet.kill(signal.SIGUSR2)
        new = wait_until(lambda: os.path.exists(limpet.path("limpet.pid")) and
                         (pid := pid_in_file(limpet)) != limpet.pid and pid, "the new binary")
        limpet.kill(signal.SIGQUIT)
        home = wait_until(lambda: get(limpet.port, "/one").text, "an answer")
        tunnel.echo()
        tunnel.close()
        limpet.process.wait(PATIENCE)
        assert pid_in_file(limpet) == new
        assert server_of(limpet.port, "one") == home
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(limpet.path("http.sock"))
        os.kill(new, signal.SIGTERM)
        wait_until(lambda: not alive(new), "the new one to end")
