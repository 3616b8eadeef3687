"""What an attacker does over HTTP/2 (CVE by CVE): it is told to go, the worker's memory stays small, others are served."""
import socket
import threading
import time

import pytest

import http2
from daemon import Limpet, sanitized
from http2 import CANCEL, ENHANCE_YOUR_CALM, PROTOCOL_ERROR, Http2, raw_frame
from hyperframe.frame import (ContinuationFrame, DataFrame, HeadersFrame, PingFrame, PriorityFrame, RstStreamFrame,
                              SettingsFrame, WindowUpdateFrame)
from origin import Reply
from waiting import wait_until

MIB = 1 << 20
ALLOWED = 24 * MIB  # that a worker may grow by, whatever one connection does

CONFIG = """
worker_processes 1;
events { worker_connections 2048; }
http {
    log_format line '$request $status [$upstream_addr]';
    access_log {dir}/access.log line;
    client_body_temp_path {dir}/body;
    send_timeout 2s;
    client_body_timeout 2s;
    client_header_timeout 2s;
    proxy_max_temp_file_size 0;
    server {
        listen {port};
        http2 on;
        location = /ok { return 200 ok; }
        location / { proxy_pass http://127.0.0.1:{app}; }
        location /waits { proxy_pass http://127.0.0.1:{app}; }
    }
}
"""

LONG = b"a" * (8 * MIB)


@pytest.fixture
def app(origins, gate):
    def respond(request):
        if request.target == "/waits":
            return gate(request)
        return Reply(LONG if request.target == "/long" else b"%d" % len(request.body))

    (made,) = origins("app", respond=respond)
    return made


class Watched(Limpet):
    def memory(self):
        """Of its worker, in bytes."""
        (worker,) = self.workers()
        with open(f"/proc/{worker}/statm") as text:
            return int(text.read().split()[1]) * 4096

    def __enter__(self):
        super().__enter__()
        assert self.ask() == "ok"
        self.before = self.memory()
        (self.worker,) = self.workers()
        return self

    def ask(self):
        return http2.ask_once(self.port, "/ok").text

    def check(self):
        """It is the same worker, small, and serves."""
        assert self.ask() == "ok"
        assert self.workers() == [self.worker]
        if not sanitized():
            assert self.memory() - self.before < ALLOWED


@pytest.fixture
def limpet(app):
    with Watched(CONFIG, app=app.port) as limpet:
        yield limpet
        limpet.check()


class Bystander:
    """Asks all the while; the longest that an answer took."""

    def __init__(self, limpet):
        self.limpet, self.served, self.longest, self.failures = limpet, 0, 0, []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.over.is_set():
            begin = time.monotonic()
            try:
                assert self.limpet.ask() == "ok"
            except Exception as error:
                self.failures.append(repr(error))
            self.served += 1
            self.longest = max(self.longest, time.monotonic() - begin)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        wanted = self.served + 2
        try:
            wait_until(lambda: self.served >= wanted, "answers to others")
        finally:
            self.over.set()
            self.thread.join()
        assert not self.failures
        assert self.longest < 10


def flood(limpet, pieces, before=lambda client: None):
    """Sends pieces until it is told to go; the GOAWAY's code and how many were sent."""
    with Bystander(limpet), Http2(limpet.port) as client:
        before(client)
        sent = 0
        try:
            for piece in pieces:
                client.send(piece)
                sent += 1
        except OSError:
            pass
        return client.wait_end(), sent


def forever(piece, batch=50, most=100_000):
    return (piece * batch for _ in range(most // batch))


# Requests that are begun for nothing

def heads(client, path, count):
    fields = [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "localhost")]
    for _ in range(count):
        stream, client.next_id = client.next_id, client.next_id + 2
        yield stream, HeadersFrame(stream, client.encoder.encode(fields), flags=["END_HEADERS", "END_STREAM"]).serialize()


def reset_rapidly(client, path, count):
    sent = 0
    try:
        for stream, head in heads(client, path, count):
            client.send(head + RstStreamFrame(stream, error_code=CANCEL).serialize())
            sent += 1
    except OSError:
        pass
    return sent


def test_rapid_reset(limpet, app, gate):
    """CVE-2023-44487."""
    with Bystander(limpet), Http2(limpet.port) as client:
        reset_rapidly(client, "/waits", 20_000)
        assert client.wait_end() == ENHANCE_YOUR_CALM
    assert app.hits <= 600  # twice the streams, and what was under way
    gate.opened.set()


def test_resets_of_answered_requests_are_no_attack(limpet):
    with Http2(limpet.port) as client:
        for _ in range(600):
            client.get("/ok")
            client.reset(client.next_id - 2)  # too late: it was answered
        assert client.get("/ok").status == 200


def test_made_you_reset(limpet, app, gate):
    """CVE-2025-8671: the client breaks a rule of the stream, and we reset it while its request goes on."""
    with Bystander(limpet), Http2(limpet.port) as client:
        try:
            for stream, head in heads(client, "/waits", 20_000):
                client.send(head + WindowUpdateFrame(stream, window_increment=1).serialize() +
                            raw_frame(8, 0, stream, b"\0\0\0\0"))  # WINDOW_UPDATE of nothing: a stream error
        except OSError:
            pass
        assert client.wait_end() in (ENHANCE_YOUR_CALM, PROTOCOL_ERROR)
    assert app.hits <= 600
    gate.opened.set()


def test_made_you_reset_by_a_window_that_overflows(limpet, app, gate):
    with Bystander(limpet), Http2(limpet.port) as client:
        try:
            for stream, head in heads(client, "/waits", 20_000):
                client.send(head + WindowUpdateFrame(stream, window_increment=0x7fffffff).serialize())
        except OSError:
            pass
        assert client.wait_end() in (ENHANCE_YOUR_CALM, http2.FLOW_CONTROL_ERROR)
    assert app.hits <= 600
    gate.opened.set()


def test_an_upstream_ends_with_its_stream(limpet, app, gate):
    with Http2(limpet.port) as client:
        stream = client.ask("/waits")
        gate.waiting.acquire(timeout=20)
        client.reset(stream)
        client.get("/ok")

        def closed():
            with open(limpet.path("access.log")) as text:
                return "GET /waits HTTP/2.0 499" in text.read()
        wait_until(closed, "the exchange to end")


def test_more_streams_than_allowed_are_refused(limpet, app, gate):
    with Http2(limpet.port) as client:
        asked = [client.ask("/waits") for _ in range(200)]
        client.until(lambda: sum(client.streams[stream].reset is not None for stream in asked) >= 72)
        assert {client.streams[stream].reset for stream in asked} == {None, http2.REFUSED_STREAM}
        gate.opened.set()
        served = [stream for stream in asked if client.streams[stream].reset is None]
        assert len(served) == 128
        assert all(client.response(stream).text == "late" for stream in served)


# Heads

def test_continuation_flood(limpet):
    """CVE-2024-27316: a head without an end."""
    def begin(client):
        block = client.encoder.encode([(":method", "GET"), (":scheme", "http"), (":path", "/ok"), (":authority", "x")])
        client.frame(HeadersFrame(1, block, flags=["END_STREAM"]))

    piece = b"\x00\x07x-bombs\x04test"  # a literal without indexing
    code, _ = flood(limpet, forever(ContinuationFrame(1, piece * 50).serialize(), 10), begin)
    assert code in (ENHANCE_YOUR_CALM, PROTOCOL_ERROR, None)
    code, _ = flood(limpet, forever(ContinuationFrame(1, b"").serialize()), begin)  # not even a byte each
    assert code in (ENHANCE_YOUR_CALM, PROTOCOL_ERROR, None)


def test_hpack_bomb(limpet, app):
    """A long field is told once and named a thousand times, by a byte each."""
    with Bystander(limpet), Http2(limpet.port) as client:
        fields = [(":method", "GET"), (":scheme", "http"), (":path", "/x"), (":authority", "x")]
        client.head(fields + [("x-bomb", "b" * 3900)])
        client.until(lambda: client.streams[1].over)
        hits = app.hits
        block = client.encoder.encode(fields) + b"\xbe" * 15_000  # the newest entry of the table
        try:
            for stream in range(3, 200, 2):
                client.frame(HeadersFrame(stream, block, flags=["END_HEADERS", "END_STREAM"]))
        except OSError:
            pass
        assert client.wait_end() == ENHANCE_YOUR_CALM
        assert app.hits == hits


@pytest.mark.parametrize("fields, status", [
    ([("x", "y" * 14_000)], None), ([(f"x-{i}", "y" * 300) for i in range(200)], None), ([("x", "1")] * 1001, 400)])
def test_heads_beyond_their_limits(limpet, app, fields, status):
    with Http2(limpet.port) as client:
        stream = client.ask("/x", headers=fields)
        if status:
            assert client.response(stream).status == status
        else:
            assert client.wait_end() == ENHANCE_YOUR_CALM
        assert app.hits == 0


# Frames for nothing

FOR_NOTHING = {
    "settings": SettingsFrame(0, settings={http2.MAX_STREAMS: 100}).serialize(),
    "empty settings": SettingsFrame(0).serialize(),
    "ping": PingFrame(0, b"12345678").serialize(),
    "priority": PriorityFrame(1, depends_on=3).serialize(),
    "priority of idle streams": b"".join(PriorityFrame(i, depends_on=0).serialize() for i in range(1001, 1101, 2)),
    "window": WindowUpdateFrame(0, window_increment=1).serialize(),
    "unknown": raw_frame(0xbb, 0, 0, b"x" * 20),
    "priority update": raw_frame(0x10, 0, 0, b"\0\0\0\1u=1"),
    "reset of an idle stream": RstStreamFrame(99, error_code=8).serialize(),
}


@pytest.mark.parametrize("name", FOR_NOTHING)
def test_frames_for_nothing(limpet, name):
    code, _ = flood(limpet, forever(FOR_NOTHING[name]))
    assert code in (ENHANCE_YOUR_CALM, PROTOCOL_ERROR)


def test_answers_that_nobody_reads_are_not_queued_without_end(limpet):
    """CVE-2019-9512 and 9515: PING and SETTINGS whose acknowledgements the client leaves in the kernel."""
    with Bystander(limpet), Http2(limpet.port, receive_buffer=4096) as client:
        client.socket.settimeout(5)
        piece = PingFrame(0, b"12345678").serialize() * 100
        try:
            for _ in range(5000):
                client.send(piece)
        except (OSError, socket.timeout):
            pass
        if not sanitized():
            assert limpet.memory() - limpet.before < ALLOWED


def test_empty_data(limpet):
    """CVE-2019-9518."""
    def begin(client):
        client.ask("/up", method="POST", end=False)

    code, _ = flood(limpet, forever(DataFrame(1, b"").serialize()), begin)
    assert code == ENHANCE_YOUR_CALM


def test_window_updates_of_a_download_are_no_flood(limpet):
    with Http2(limpet.port) as client:
        for _ in range(3):
            assert client.get("/long").body == LONG


# Windows

def test_zero_windows(limpet, app):
    """CVE-2019-9517 and 9511: 100 streams of 8 MiB, and none of it may be sent."""
    with Bystander(limpet), Http2(limpet.port, settings={http2.INITIAL_WINDOW: 0}, reads=False) as client:
        for _ in range(100):
            client.ask("/long")
        wait_until(lambda: app.hits >= 100, "the requests")
        if not sanitized():
            assert limpet.memory() - limpet.before < 100 * MIB // 4
        client.until(lambda: client.closed or all(stream.over for stream in client.streams.values()))  # by send_timeout


def test_tiny_windows(limpet, app):
    """A byte at a time: it is slow, and costs no more."""
    with Bystander(limpet), Http2(limpet.port, settings={http2.INITIAL_WINDOW: 1}, reads=False) as client:
        asked = [client.ask("/long") for _ in range(20)]
        for stream in asked:
            client.until(lambda: len(client.streams[stream].body) >= 1 or client.closed)
        for _ in range(20):
            for stream in asked:
                client.open_window(stream, 1)
        client.until(lambda: client.closed or sum(len(client.streams[s].body) for s in asked) >= 400)
        if not sanitized():
            assert limpet.memory() - limpet.before < 100 * MIB // 4


def test_a_reader_that_stops(limpet, app):
    """All windows are open, and the socket is not read."""
    with Bystander(limpet), Http2(limpet.port, settings={http2.INITIAL_WINDOW: 1 << 30}, receive_buffer=4096) as client:
        client.open_window(0, 1 << 30)
        for _ in range(100):
            client.ask("/long")
        wait_until(lambda: app.hits >= 100, "the requests")
        if not sanitized():
            assert limpet.memory() - limpet.before < 100 * MIB // 4
        limpet.wait_log("timed out")


def test_settings_that_open_and_shut_windows(limpet):
    with Http2(limpet.port, settings={http2.INITIAL_WINDOW: 100}, reads=False) as client:
        stream = client.ask("/long")
        client.until(lambda: len(client.streams[stream].body) == 100)
        client.set(INITIAL_WINDOW_SIZE=0)  # the stream's is 100 below nothing
        client.open_window(stream, 150)
        client.until(lambda: len(client.streams[stream].body) == 150)
        client.set(INITIAL_WINDOW_SIZE=1 << 24)
        client.reads = True
        client.open_window(0, 1 << 24)
        assert client.response(stream).body == LONG


# Slow clients

def test_a_preface_alone_times_out(limpet):
    with socket.create_connection(("127.0.0.1", limpet.port)) as client:
        client.settimeout(20)
        client.sendall(http2.PREFACE[:10])
        while client.recv(4096):  # it is told, and closed
            pass
    with Http2(limpet.port) as client:
        client.send(HeadersFrame(1, b"", flags=[]).serialize())
        client.wait_end()
        assert client.closed


def test_slow_bodies_on_many_streams(limpet, app):
    with Bystander(limpet), Http2(limpet.port) as client:
        asked = [client.ask("/up", method="POST", end=False, headers=[("content-length", "100000")]) for _ in range(100)]
        for stream in asked:
            client.data(stream, b"x" * 100, end=False)
        client.until(lambda: client.closed or all(client.streams[stream].over for stream in asked))
        assert all(client.streams[s].over for s in asked) or client.closed
    assert app.hits == 0


# Smuggling by downgrade

GET = [(":method", "GET"), (":scheme", "http"), (":path", "/x"), (":authority", "localhost")]


def path(value):
    return [(":path", value) if name == ":path" else (name, old) for name, old in GET]


@pytest.mark.parametrize("fields", [
    GET + [("x", "a\r\nContent-Length: 5")], GET + [("x", "a\nb: c")], GET + [("x", "a\0b")],
    GET + [("x\r\nhost: y", "a")], GET + [("x: y", "a")], GET + [("x y", "a")], GET + [("X-A", "a")],
    GET + [("transfer-encoding", "chunked")], GET + [("connection", "close")], GET + [("te", "gzip")],
    GET + [("content-length", "5")], GET + [("content-length", "x")], GET + [("content-length", "0"), ("content-length", "0")],
    GET + [("host", "other")], GET + [(":path", "/y")], GET + [("x", " \r\na: b")], GET + [("upgrade", "h2c")],
    path("/x HTTP/1.1\r\nHost: y\r\n\r\nGET /"), path("/a b"), path("x"), path(""), path("/\0"),
    [(":method", "GET /y HTTP/1.1\r\nx: ")] + GET[1:], [(":method", "get")] + GET[1:],
    GET[:3] + [(":authority", "x\r\ny: z")], GET[:3] + [(":authority", "a b")], GET[:3],
    GET[1:], GET[:1] + GET[2:], [("x", "y")] + GET, GET + [(":x", "y")],
    [(":method", "CONNECT"), (":authority", "127.0.0.1:22")], [(":method", "TRACE")] + GET[1:],
    [(":method", "CONNECT"), (":protocol", "websocket")] + GET[1:],
])
def test_smuggling(limpet, app, fields):
    with Http2(limpet.port) as client:
        stream = client.head(fields)
        client.until(lambda: client.streams[stream].over or client.closed)
        had = client.streams[stream]
        assert had.reset is not None or had.status in (400, 405, 421) or client.goaway
        if not client.goaway:
            assert client.get("/ok").status == 200
    assert app.hits == 0
    assert limpet.ask() == "ok"
