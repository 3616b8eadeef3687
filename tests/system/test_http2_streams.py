"""Streams of HTTP/2 that break rules or are broken off: what the client hears, what the log says, and that others go on."""
import threading

import pytest

from client import get
from daemon import Limpet
from http2 import ENHANCE_YOUR_CALM, MAX_STREAMS, NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, Http2, raw_frame
from origin import Reply
from waiting import PATIENCE, wait_until

CONFIG = """
events { }
http {
    log_format line '$request|$status|$request_length';
    access_log {dir}/access.log line;
    upstream app { server 127.0.0.1:{app}; }
    server {
        listen {port};
        http2 on;
        http2_max_concurrent_streams 4;
        large_client_header_buffers 4 2k;
        location / { return 200 ok; }
        location /app { proxy_pass http://app; }
        location /straight { proxy_request_buffering off; proxy_http_version 1.1; proxy_pass http://app; }
    }
}
"""


@pytest.fixture
def limpet(origins):
    gate = threading.Event()

    def respond(request):
        if request.target == "/app/waits":
            gate.wait(PATIENCE)
        return Reply(f"{request.method} {len(request.body)}".encode())
    (app,) = origins("app", respond=respond)
    with Limpet(CONFIG, workers=1, app=app.port) as started:
        started.app = app
        yield started
        gate.set()


def lines(limpet, count):
    def read():
        with open(limpet.path("access.log")) as log:
            found = log.read().splitlines()
        return found if len(found) >= count else None
    return wait_until(read, f"{count} lines in the access log")


def knows_settings(client):
    """The client has our SETTINGS, and we know that it has."""
    client.until(lambda: client.settings)
    pings = len(client.pongs)
    client.ping()
    client.until(lambda: len(client.pongs) > pings)


def test_a_stream_too_many_is_refused_and_others_go_on(limpet):
    with Http2(limpet.port) as client:
        knows_settings(client)
        assert client.settings[MAX_STREAMS] == 4
        asked = [client.ask("/app", method="POST", headers=[("content-length", "1")], end=False) for _ in range(6)]
        assert client.until(lambda: all(client.streams[stream].over for stream in asked[4:]))
        assert [client.streams[stream].reset for stream in asked[4:]] == [REFUSED_STREAM] * 2
        for stream in asked[:4]:
            client.data(stream, b"x")
            assert client.response(stream).text == "POST 1"
        assert client.get("/").text == "ok"
        assert client.goaway is None


def test_a_client_that_asks_for_too_many_again_and_again_is_sent_away(limpet):
    with Http2(limpet.port) as client:
        knows_settings(client)
        for _ in range(4):
            client.ask("/app", method="POST", end=False)
        try:
            for _ in range(500):
                client.ask("/")
        except OSError:
            pass
        assert client.wait_end() in (ENHANCE_YOUR_CALM, None)
    limpet.wait_log("client floods the connection while processing HTTP/2 connection")


def test_a_field_has_the_size_of_a_buffer_as_it_was_sent(limpet):
    with Http2(limpet.port) as client:  # 'a' has five bits in Huffman's code
        assert client.get("/", headers=[("x", "a" * (2048 * 8 // 5))]).text == "ok"
        assert client.get("/").text == "ok"


@pytest.mark.parametrize("fields, why", [
    ([("x", "y" * 3300)], "client sent too large header field"),
    ([(f"x-{i}", "y" * 300) for i in range(40)], "client sent too large header")])
def test_a_head_over_the_buffers_ends_the_connection_and_is_in_the_log(limpet, fields, why):
    with Http2(limpet.port) as client:
        client.ask(headers=fields)
        assert client.wait_end() == ENHANCE_YOUR_CALM
    (line,) = lines(limpet, 1)
    assert line.startswith("GET / HTTP/2.0|000|") and int(line.split("|")[2]) > 1000
    limpet.wait_log(f"{why} while reading client request headers, client: 127")
    assert not limpet.log_lines("floods")


@pytest.mark.parametrize("path", ["/app", "/straight"])
def test_an_upload_that_the_client_cancels(limpet, path):
    with Http2(limpet.port) as client:
        stream = client.ask(path, method="POST", headers=[("content-length", "10")], end=False)
        client.data(stream, b"12345", end=False)
        client.reset(stream)
        assert client.get("/").text == "ok"
        assert any(line.startswith(f"POST {path} HTTP/2.0|499|") for line in lines(limpet, 2))
    limpet.wait_log(r"\[info\].*client canceled stream 1, client: 127")


def test_an_upload_whose_connection_ends(limpet):
    with Http2(limpet.port) as client:
        stream = client.ask("/app", method="POST", headers=[("content-length", "10")], end=False)
        client.data(stream, b"12345", end=False)
        client.until(lambda: client.settings)
    assert lines(limpet, 1)[0].startswith("POST /app HTTP/2.0|499|")
    limpet.wait_log(r"\[info\].*client prematurely closed connection, client: 127")


def test_a_short_body_that_is_on_its_way_is_let_come_behind_the_answer(limpet):
    """There are clients that lose an answer by a reset right behind it: curl 7.88."""
    with Http2(limpet.port) as client:
        stream = client.ask("/", method="POST", headers=[("content-length", "10")], end=False)
        assert client.response(stream).text == "ok"
        client.ping()
        client.until(lambda: client.pongs)
        assert client.streams[stream].reset is None
        client.data(stream, b"1234567890")
        later = client.ask("/", method="POST", headers=[("content-length", "10")], end=False)
        client.until(lambda: client.streams[later].reset is not None)  # it did not come
        assert client.streams[later].reset == NO_ERROR
        assert client.streams[stream].reset is None
        assert client.get("/").text == "ok"


@pytest.mark.parametrize("length", [[("content-length", "100000")], []], ids=["long", "without a length"])
def test_a_body_that_may_be_long_is_refused_behind_the_answer(limpet, length):
    with Http2(limpet.port) as client:
        stream = client.ask("/", method="POST", headers=length, end=False)
        assert client.response(stream).text == "ok"
        client.ping()
        client.until(lambda: client.pongs)
        assert client.streams[stream].reset == NO_ERROR


def test_a_body_that_is_let_come_does_not_outlive_its_connection(limpet):
    with Http2(limpet.port) as client:
        client.response(client.ask("/", method="POST", headers=[("content-length", "10")], end=False))
        limpet.reload()
        assert client.wait_end() == NO_ERROR
        limpet.wait_log(r"exited with code 0")  # it has lingered for longer than the body has
    assert not limpet.log_lines("exited on signal")


def test_a_body_where_none_was_declared_is_refused(limpet):
    with Http2(limpet.port) as client:
        stream = client.ask("/app/waits", method="POST", headers=[("content-length", "0")], end=False)
        client.data(stream, b"12345")
        client.until(lambda: client.streams[stream].over)
        assert client.streams[stream].status == 400
        assert client.get("/").text == "ok"
    limpet.wait_log("client intended to send body data larger than declared")
    assert get(limpet.port, "/").text == "ok"


def test_white_space_around_values_is_no_part_of_them(limpet):
    with Http2(limpet.port) as client:
        stream = client.ask("/app", method="POST", headers=[("content-length", " 3\t"), ("x-a", " 1 ")], end=False)
        client.data(stream, b"abc")
        assert client.response(stream).text == "POST 3"
        assert limpet.app.requests[-1].header("x-a") == "1"


@pytest.mark.parametrize("path", ["/app", "/straight"])
def test_trailers_that_do_not_end_their_stream_end_it(limpet, path):
    """RFC 9113 8.1: the request is malformed. Others go on."""
    with Http2(limpet.port) as client:
        stream = client.ask(path, method="POST", end=False)
        client.data(stream, b"abc", end=False)
        client.head([("x-sum", "6")], stream=stream, end=False)
        client.until(lambda: client.streams[stream].over)
        assert client.streams[stream].reset == PROTOCOL_ERROR
        assert client.get("/").text == "ok"
    assert any(line.startswith(f"POST {path} HTTP/2.0|499|") for line in lines(limpet, 2))
    limpet.wait_log("client sent trailers without an end for stream 1 while processing HTTP/2 connection")


def test_a_request_without_a_method_has_no_line(limpet):
    with Http2(limpet.port) as client:
        assert client.response(client.head([(":scheme", "http"), (":path", "/"), (":authority", "a")])).status == 400
    assert lines(limpet, 1)[0].startswith("-|400|")


def test_a_field_that_does_not_get_through_is_in_the_log(limpet):
    with Http2(limpet.port) as client:
        client.get("/app", headers=[("x-a", "1"), ("x_b", "2"), ("x_c", "3")])
    assert limpet.app.requests[-1].header("x-a") == "1"
    assert limpet.app.requests[-1].header("x_b") is None
    limpet.wait_log(r'\[info\].*client sent invalid header: "x_b" while reading client request headers, client: 127')


@pytest.mark.parametrize("frames, why", [
    (raw_frame(0, stream=1, payload=b"x"), "PROTOCOL_ERROR, DATA: .*"),
    (raw_frame(1, 5, 1, b"\x80"), "COMPRESSION_ERROR"),
    (raw_frame(4, payload=b"12345"), "FRAME_SIZE_ERROR.*"),
])
def test_an_error_that_ends_the_connection_is_in_the_log(limpet, frames, why):
    with Http2(limpet.port) as client:
        client.send(frames)
        assert client.wait_end() is not None
    limpet.wait_log(rf"\[info\].*client sent what HTTP/2 does not allow \({why}\) while processing HTTP/2 connection, client: 127")


def test_a_frame_that_only_servers_send_is_in_the_log(limpet):
    with Http2(limpet.port) as client:
        client.raw(5, 4, 1, b"\0\0\0\2")
        assert client.wait_end() == PROTOCOL_ERROR
    limpet.wait_log("client sent frame of type 5 for stream 1 while processing HTTP/2 connection")
