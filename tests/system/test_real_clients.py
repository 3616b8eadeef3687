"""WebSockets of a real client (node's) that chat while limpet is reloaded, ended and started again."""
import json
import os
import shutil
import signal
import subprocess

import pytest

import websocket
from daemon import Limpet
from origin import Origin, switch
from waiting import PATIENCE, wait_until

SUPPORT = os.path.join(os.path.dirname(__file__), "../support")
NODE = shutil.which("node")
CLIENTS = 12
CONFIG = """
events { }
http {
    upstream app {
        server 127.0.0.1:{a};
        server 127.0.0.1:{b};
        sticky learn create=$cookie_s lookup=$cookie_s zone=sessions:1m timeout=1h header;
    }
    server {
        listen 127.0.0.1:{port};
        location / {
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_pass http://app;
        }
    }
}
"""


def has_websockets():
    try:
        done = subprocess.run([NODE, "--experimental-websocket", "-e", "new WebSocket('ws://127.0.0.1:1').onerror = () => 0"],
                              capture_output=True, timeout=60)
    except OSError:
        return False
    return done.returncode == 0


pytestmark = pytest.mark.skipif(not NODE or not has_websockets(), reason="no node with WebSockets here")


class Chat(Origin):
    """Says its name with whatever it has heard."""

    heard = {}  # how many words of each session

    def tunnel(self, connection, stream, request):
        switch(connection, request)
        while (frame := websocket.read_frame(stream)) and frame[0] != websocket.CLOSE:
            self.heard[request.target] = self.heard.get(request.target, 0) + 1
            connection.sendall(websocket.server_frame(frame[0], f"{self.name} ".encode() + frame[1]))
        return False


class Clients:
    def __init__(self, port):
        self.process = subprocess.Popen([NODE, "--experimental-websocket", "--no-warnings", os.path.join(SUPPORT, "chatter.mjs"),
                                         str(port), str(CLIENTS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def stop(self):
        output, _ = self.process.communicate("stop\n", timeout=3 * PATIENCE)
        return json.loads(output)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def backends():
    Chat.heard.clear()
    with Chat("a") as a, Chat("b") as b:
        yield a, b


def wait_for_words():
    """Until each of them has had an answer since, and said something again."""
    before = dict(Chat.heard)
    wait_until(lambda: len(Chat.heard) == CLIENTS and all(n >= before.get(name, 0) + 2 for name, n in Chat.heard.items()),
               "words of all chats", patience=3 * PATIENCE)


def tunnels(*backends):
    return sum(len(backend._open) for backend in backends)


def test_chats_go_on_over_reloads_and_the_end_of_their_limpet(backends):
    a, b = backends
    with Limpet(CONFIG, workers=2, a=a.port, b=b.port) as limpet, Clients(limpet.port) as clients:
        wait_until(lambda: a.hits + b.hits == CLIENTS, "all chats", patience=3 * PATIENCE)
        wait_for_words()
        for _ in range(3):
            started = len(limpet.log_lines("start worker processes"))
            limpet.kill(signal.SIGHUP)
            wait_until(lambda: len(limpet.log_lines("start worker processes")) > started, "the reload")
            limpet.wait_log("gracefully shutting down", count=2 * started)
            wait_for_words()
        assert tunnels(a, b) == CLIENTS and a.hits + b.hits == CLIENTS, "nobody had to connect again"
        old = limpet.process
        limpet.kill(signal.SIGQUIT)
        limpet.wait_log("gracefully shutting down", count=8)
        with open(limpet.path("output"), "ab") as output:
            limpet.process = subprocess.Popen(limpet.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        wait_until(lambda: limpet._started() and int(open(limpet.path("limpet.pid")).read()) == limpet.pid, "the next limpet")
        wait_for_words()
        assert a.hits + b.hits == CLIENTS, "still the same"
        for backend in (a, b):  # all of them end at once: they connect again
            with backend._lock:
                for connection in list(backend._open):
                    connection.shutdown(2)
        old.wait(PATIENCE)
        wait_until(lambda: a.hits + b.hits == 2 * CLIENTS and tunnels(a, b) == CLIENTS, "new chats")
        wait_for_words()
        heard = clients.stop()
        assert heard["wrong"] == [] and heard["closed"] == CLIENTS and heard["refused"] == 0, heard
        assert all(len(homes) == 1 for homes in heard["homes"].values()) and len(heard["homes"]) == CLIENTS, heard
        limpet.end()
