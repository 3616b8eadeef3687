"""WebSockets over HTTP/2 (extended CONNECT, RFC 8441): an upstream sees an Upgrade as over HTTP/1."""
import os

import pytest

from daemon import Limpet
from http2 import EXTENDED_CONNECT, Http2
from waiting import wait_until
from websocket import TEXT, frame

CONFIG = """
events { }
http {
    log_format line '$request $status $bytes_sent';
    access_log {dir}/access.log line;
    map $http_upgrade $connection_upgrade { default upgrade; '' close; }
    server {
        listen {port};
        http2 on;
        http2_websocket {websocket};
        location / {
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_pass http://127.0.0.1:{app};
        }
        location /plain { proxy_pass http://127.0.0.1:{app}; }
    }
}
"""


@pytest.fixture
def app(origins):
    (made,) = origins("app")
    return made


def read(path):
    with open(path) as text:
        return text.read()


def start(app, websocket="on"):
    return Limpet(CONFIG, app=app.port, websocket=websocket)


def connect(client, path="/chat", headers=(), protocol="websocket"):
    return client.head([(":method", "CONNECT"), (":protocol", protocol), (":scheme", "http"), (":path", path),
                        (":authority", "localhost"), ("sec-websocket-version", "13"), *headers], end=False)


def until_head(client, stream):
    client.until(lambda: client.streams[stream].headers is not None or client.streams[stream].over)
    return client.streams[stream]


def test_settings_say_whether(app):
    for websocket, told in (("on", 1), ("off", None)):
        with start(app, websocket) as limpet, Http2(limpet.port) as client:
            client.until(lambda: client.settings)
            assert client.settings.get(EXTENDED_CONNECT) == told


def test_frames_go_both_ways(app):
    with start(app) as limpet, Http2(limpet.port) as client:
        stream = connect(client, headers=[("origin", "http://localhost"), ("sec-websocket-protocol", "chat")])
        assert until_head(client, stream).status == 200
        seen = app.requests[-1]
        assert (seen.method, seen.target, seen.version) == ("GET", "/chat", "HTTP/1.1")
        assert seen.header("upgrade") == "websocket" and len(seen.header("sec-websocket-key")) == 24
        assert seen.header("sec-websocket-protocol") == "chat" and seen.header("sec-websocket-version") == "13"
        names = {name for name, _ in client.streams[stream].headers}
        assert not {"upgrade", "connection"} & names
        sent = b""
        for size in (1, 100, 5000, 200_000):
            piece = frame(TEXT, os.urandom(size))
            sent += piece
            client.data(stream, piece, end=False)
            client.until(lambda: len(client.streams[stream].body) >= len(sent) or client.streams[stream].over)
            assert bytes(client.streams[stream].body) == sent
        assert client.get("/x").text == "app"  # beside it
        client.data(stream, b"")
        client.until(lambda: client.streams[stream].over)


def test_many_at_once(app):
    with start(app) as limpet, Http2(limpet.port) as client:
        streams = [connect(client, f"/{i}") for i in range(20)]
        for number, stream in enumerate(streams):
            assert until_head(client, stream).status == 200
            client.data(stream, b"%d" % number, end=False)
        for number, stream in enumerate(streams):
            client.until(lambda: len(client.streams[stream].body) >= len(str(number)))
            assert bytes(client.streams[stream].body) == b"%d" % number


def test_the_upstreams_end_ends_the_stream(app):
    with start(app) as limpet, Http2(limpet.port) as client:
        stream = connect(client)
        assert until_head(client, stream).status == 200
        app.stop()
        client.until(lambda: client.streams[stream].over)


def test_a_reset_ends_the_tunnel(app):
    with start(app) as limpet, Http2(limpet.port) as client:
        stream = connect(client)
        assert until_head(client, stream).status == 200
        client.reset(stream)
        assert client.get("/x").text == "app"


def test_an_upstream_that_does_not_switch(app):
    with start(app) as limpet, Http2(limpet.port) as client:
        stream = connect(client, "/plain")
        had = until_head(client, stream)
        assert had.reset is not None or had.status >= 300
        assert client.get("/x").text == "app"
        wait_until(lambda: "CONNECT /plain HTTP/2.0 502 " in read(limpet.path("access.log")), "the line of what the client got")


def test_refused(app):
    with start(app, "off") as limpet, Http2(limpet.port) as client:
        assert until_head(client, connect(client)).status == 400
    with start(app) as limpet, Http2(limpet.port) as client:
        assert until_head(client, connect(client, protocol="connect-udp")).status == 501
    assert app.hits == 0
