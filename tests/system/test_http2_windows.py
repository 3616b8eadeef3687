"""The windows of a client of HTTP/2: what it may be sent, and when, whatever it gives back."""
import os
import threading

import pytest
from hyperframe.frame import DataFrame, WindowUpdateFrame

from daemon import Limpet
from http2 import DEFAULT_WINDOW, INITIAL_WINDOW, Http2
from machines import seconds
from origin import Reply
from waiting import PATIENCE

MIB = 1 << 20
LONG = b"a" * (32 * MIB)
SHORT = LONG[:4 * DEFAULT_WINDOW]
CHUNK = 5000
CONFIG = """
events { }
http {
    access_log off;
    upstream app { server 127.0.0.1:{app}; }
    proxy_http_version 1.1;
    server {
        listen {port};
        http2 on;
        location / { proxy_pass http://app; }
        location /trailers { proxy_pass_trailers on; proxy_set_header TE trailers; proxy_set_header Connection TE; proxy_pass http://app; }
        location /long_chunks { http2_chunk_size 64k; proxy_pass http://app; }
        location /file { http2_chunk_size %d; root {dir}/files; }
    }
}
""" % CHUNK
ENDS = {"/end": b"0\r\n\r\n", "/trailers": b"0\r\nX-Sum: 6\r\n\r\n", "/broken": b""}


@pytest.fixture
def limpet(origins):
    gate = threading.Event()

    def respond(request):
        if request.target not in ENDS:
            return Reply(SHORT if request.target == "/short" else LONG)

        def pieces():
            yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            yield b"%x\r\n%s\r\n" % (DEFAULT_WINDOW, LONG[:DEFAULT_WINDOW])
            gate.wait(PATIENCE)
            yield ENDS[request.target]
        return Reply(raw=pieces(), close=True)
    (app,) = origins("app", respond=respond)
    with Limpet(CONFIG, workers=1, app=app.port) as started:
        os.mkdir(started.path("files"))
        with open(started.path("files/file"), "wb") as file:
            file.write(SHORT)
        started.gate = gate
        yield started
        gate.set()


@pytest.mark.parametrize("path", ENDS)
def test_an_end_needs_no_window(limpet, path):
    """The client has got as much as it takes, and is told that this was all."""
    with Http2(limpet.port, reads=False) as client:
        stream = client.ask(path, headers=[("te", "trailers")])
        had = client.streams[stream]
        client.until(lambda: len(had.body) == DEFAULT_WINDOW)
        limpet.gate.set()
        client.until(lambda: had.over)
        assert had.ended == (path != "/broken") and len(had.body) == DEFAULT_WINDOW
        if path == "/trailers":
            assert had.trailers == [("x-sum", "6")]
        other = client.ask("/end")
        client.until(lambda: client.streams[other].headers)


def frames_until(client, condition):
    """The lengths of the DATA frames that come."""
    found = []
    while not condition():
        frame = client.read()
        assert frame is not None, client.goaway
        if isinstance(frame, DataFrame):
            found.append(len(frame.data))
    return found


@pytest.mark.parametrize("first", [DEFAULT_WINDOW, MIB, 3 * CHUNK + 1])
def test_a_window_is_not_used_up_by_a_short_frame(limpet, first):
    with Http2(limpet.port, reads=False, settings={INITIAL_WINDOW: first}) as client:
        stream = client.ask("/file")
        lengths = frames_until(client, lambda: len(client.streams[stream].body) == min(first, DEFAULT_WINDOW))
        assert min(lengths) >= CHUNK // 2, lengths


def test_a_narrow_window_is_used_if_it_does_not_grow(limpet):
    with Http2(limpet.port, reads=False, settings={INITIAL_WINDOW: MIB}) as client:
        stream = client.ask("/file")
        had = client.streams[stream]
        client.until(lambda: len(had.body) == DEFAULT_WINDOW)
        for size in (1, 100, CHUNK, 3 * CHUNK // 2):
            want = len(had.body) + size
            client.open_window(0, size)
            client.until(lambda: len(had.body) >= want)
            assert len(had.body) == want
        client.open_window(0, MIB)
        assert client.response(stream).body == SHORT


@pytest.mark.parametrize("piece", [1024, 4096])
def test_what_comes_may_be_given_back_piece_by_piece(limpet, piece):
    """As Go's client does whose reader takes a buffer at a time."""
    with Http2(limpet.port, reads=False, settings={INITIAL_WINDOW: 4 * MIB}) as client:
        client.open_window(0, 1 << 30)
        stream = client.ask("/long")
        had, given = client.streams[stream], 0
        while not had.over:
            assert client.read() is not None, client.goaway
            pieces = (len(had.body) - given) // piece
            given += pieces * piece
            client.send((WindowUpdateFrame(0, window_increment=piece).serialize()
                         + WindowUpdateFrame(stream, window_increment=piece).serialize()) * pieces)
        assert had.ended and had.body == LONG


def test_chunks_are_no_longer_than_the_clients_frames(limpet):
    """Those that were waited for a window at each frame."""
    def download(path):
        with Http2(limpet.port, reads=False, settings={INITIAL_WINDOW: (1 << 31) - 1}) as client:
            client.open_window(0, 1 << 30)
            assert client.response(client.ask(path)).body == LONG
    assert seconds(lambda: download("/long_chunks")) < 10 * seconds(lambda: download("/"))


def test_a_download_that_is_cancelled_is_in_the_log(limpet):
    """Also if all of it has been queued."""
    with Http2(limpet.port, reads=False) as client:
        stream = client.ask("/file")
        client.until(lambda: len(client.streams[stream].body) == DEFAULT_WINDOW)
        client.reset(stream)
        limpet.wait_log(r"\[info\].*client canceled stream 1, client: 127.*\"GET /file HTTP/2.0\"")
