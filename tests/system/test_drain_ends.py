"""What becomes of connections without an end of their own when the deadline of their server's drain has passed."""
import json
import os
import signal
import threading

import pytest

from client import Connection, get
from daemon import Limpet
from origin import Reply
from waiting import wait_until
from websocket import CLOSE, TEXT, frame, read_frame, upgrade

CONFIG = """
worker_processes 1;
events { }
http {
    upstream app { zone app 64k; server 127.0.0.1:{a} {how}; }
    upstream other { zone other 64k; server 127.0.0.1:{a}; }
    server {
        listen {port};
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "upgrade";
        location / { proxy_pass http://app; }
        location /other/ { proxy_pass http://other; }
        location /raw/ { proxy_pass http://app; proxy_buffering off; }
        location /status/ { api /status/ write=on; }
    }
}
"""
GOING_AWAY = (CLOSE, b"\x03\xe9")


class Server:
    """Its answers are begun at once and ended when it is let go."""

    def __init__(self, origin):
        self.origin = origin
        self.go = threading.Event()
        origin.respond = lambda request: Reply(raw=self.answer(request.target.split("/")[-1].encode()))

    def answer(self, kind):
        yield (b"HTTP/1.1 200 OK\r\nContent-Type: text/" + kind + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"9\r\ndata: 1\n\n\r\n")
        self.go.wait(20)
        yield b"9\r\ndata: 2\n\n\r\n0\r\n\r\n"


@pytest.fixture
def site(origins):
    server = Server(*origins("a"))
    with Limpet(CONFIG, a=server.origin.port, how="") as limpet:
        limpet.server = server
        wait_until(lambda: os.path.exists(limpet.path("limpet.sock")), "the control socket")
        yield limpet
        server.go.set()


def drain(limpet, deadline, upstream="app"):
    done = limpet.run("drain", upstream, f"127.0.0.1:{limpet.values['a']}", "--deadline", deadline)
    assert done.returncode == 0, done.stderr


def peer(limpet):
    return json.loads(get(limpet.port, "/status/upstreams/app").text)["peers"][0]


def websocket(limpet, path="/"):
    client = Connection(limpet.port)
    assert upgrade(client, path).status == 101
    client.send(frame(TEXT, b"hello"))
    assert read_frame(client.stream) == (TEXT, b"hello")
    return client


def begun(limpet, path):
    """A client that has read the head and the first chunk of an answer."""
    client = Connection(limpet.port)
    client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
    while client.stream.readline() != b"\r\n":
        pass
    assert client.stream.read(14) == b"9\r\ndata: 1\n\n\r\n"
    return client


def test_a_websocket_is_told_and_ended(site):
    with websocket(site) as client:
        drain(site, "1s")
        assert peer(site)["drain_keeps"] is False
        client.send(frame(TEXT, b"still here"))
        assert read_frame(client.stream) == (TEXT, b"still here")
        assert read_frame(client.stream) == GOING_AWAY
        assert client.stream.read() == b""
    wait_until(lambda: peer(site)["state"] == "drained", "the drain")


def test_a_frame_that_is_under_way_is_ended_first(site):
    with websocket(site) as client:
        whole = frame(TEXT, b"in two halves")
        client.send(whole[:9])  # the origin sends it back as it comes
        assert client.stream.read(9) == whole[:9]
        drain(site, "100ms")
        wait_until(lambda: peer(site)["drain_left_ms"] == 0, "the deadline")
        client.send(whole[9:])
        assert client.stream.read(len(whole) - 9) == whole[9:]
        assert read_frame(client.stream) == GOING_AWAY
        assert client.stream.read() == b""


def test_streams_are_ended_and_pages_are_not(site):
    with begun(site, "/event-stream") as events, begun(site, "/raw/plain") as raw, begun(site, "/html") as page:
        drain(site, "100ms")
        assert events.stream.read(5) == b"0\r\n\r\n"  # a browser opens it again
        assert raw.stream.read() == b""  # whoever reads it must see that the end is missing
        site.server.go.set()
        assert page.stream.read(19) == b"9\r\ndata: 2\n\n\r\n0\r\n\r\n"


def test_what_is_kept_stays_open(site):
    with websocket(site) as client, begun(site, "/event-stream") as events:
        drain(site, "100ms,keep")
        wait_until(lambda: peer(site)["drain_left_ms"] == 0, "the deadline")
        assert peer(site)["drain_keeps"] is True
        with websocket(site, "/other/") as other:
            drain(site, "1ms", "other")
            assert read_frame(other.stream) == GOING_AWAY  # the worker has looked
        client.send(frame(TEXT, b"still here"))
        assert read_frame(client.stream) == (TEXT, b"still here")
        assert peer(site)["state"] == "draining"
        site.server.go.set()
        assert events.stream.read(19) == b"9\r\ndata: 2\n\n\r\n0\r\n\r\n"


@pytest.mark.parametrize("how, is_kept", [("drain=1s", False), ("drain=1s,keep", True)])
def test_workers_of_the_configuration_before_know_it(site, how, is_kept):
    with websocket(site) as client:
        site.values["how"] = how
        site.write(CONFIG)
        site.kill(signal.SIGHUP)  # the old worker stays for the connection
        wait_until(lambda: peer(site).get("drain_left_ms") == 0, "the deadline")
        assert peer(site)["drain_keeps"] is is_kept
        if not is_kept:
            assert read_frame(client.stream) == GOING_AWAY
        else:
            client.send(frame(TEXT, b"still here"))
            assert read_frame(client.stream) == (TEXT, b"still here")


def test_the_api_takes_it_too(site):
    body = b'{"drain": true, "deadline": "10m,keep"}'
    headers = [("Content-Type", "application/json")]
    answer = get(site.port, f"/status/upstreams/app/peers/127.0.0.1:{site.values['a']}", headers, method="PATCH", body=body)
    assert json.loads(answer.text)["drain_keeps"] is True
