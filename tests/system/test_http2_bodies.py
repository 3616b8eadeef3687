"""Long bodies over HTTP/2, which pass through pipes on a plain connection: each byte comes where it belongs, whatever clients do."""
import random
import re
import threading

import pytest

from certificates import Authority
from daemon import Limpet
from http2 import INITIAL_WINDOW, Http2, client_context
from origin import Reply
from ports import free_port
from waiting import PATIENCE, wait_until

SIZE, LONG = 3_000_000, 24_000_000
CONFIG = """
events {{ }}
http {{
    log_format line '$uri|$status|$body_bytes_sent|$upstream_response_length';
    access_log {{dir}}/access.log line;
    upstream app {{ server 127.0.0.1:{{app}}; keepalive 32; }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    server {{
        listen {{port}};
        listen {{tls}} ssl;
        ssl_certificate {{certs}}/any.test.crt;
        ssl_certificate_key {{certs}}/any.test.key;
        http2 on;
        {settings}
        location / {{ proxy_pass http://app; }}
        location /goes_on {{ proxy_ignore_client_abort on; proxy_pass http://app; }}
    }}
}}
"""
FILES, NO_FILES, AS_IT_COMES = "", "proxy_max_temp_file_size 0;", "proxy_buffering off;"


def body_of(name, size=SIZE):
    """One that nobody can take for another."""
    return random.Random(name).randbytes(size)


@pytest.fixture(params=[FILES, NO_FILES, AS_IT_COMES], ids=["files", "no files", "as it comes"])
def place(request, origins, tmp_path):
    gate = threading.Event()

    def respond(request):
        name = request.target.rpartition("/")[2]
        body = body_of(name, LONG if name.startswith("long") else SIZE)
        if name.startswith("cut"):
            return Reply(raw=[b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body[:len(body) // 2]], close=True)
        if name.startswith("late"):
            def pieces():
                yield b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
                yield body[:len(body) // 2]
                gate.wait(PATIENCE)
                yield body[len(body) // 2:]
            return Reply(raw=pieces())
        return Reply(body)
    Authority(tmp_path).issue("any.test")
    (app,) = origins("app", respond=respond)
    with Limpet(CONFIG.format(settings=request.param), workers=1, app=app.port, tls=(tls := free_port()), certs=tmp_path) as limpet:
        limpet.tls, limpet.gate, limpet.spools = tls, gate, request.param == FILES
        yield limpet
        gate.set()


def client_of(limpet, tls, window=1 << 20, **options):
    """Its windows are as large as browsers' are."""
    options["settings"] = {INITIAL_WINDOW: window}
    client = Http2(limpet.tls, tls=client_context(), sni="any.test", **options) if tls else Http2(limpet.port, **options)
    client.open_window(0, 1 << 24)
    return client


def line_of(limpet, path):
    def read():
        with open(limpet.path("access.log")) as log:
            return re.search(rf"^{path}\|.*$", log.read(), re.MULTILINE)
    return wait_until(read, f"the line of {path} in the access log")[0]


WAYS = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


@WAYS
def test_many_at_a_time(place, tls):
    with client_of(place, tls) as client:
        names = [f"many{number}" for number in range(12)]
        asked = [client.ask("/" + name) for name in names]
        for name, stream in zip(names, asked):
            assert client.response(stream).body == body_of(name), name
    assert line_of(place, "/many0") == f"/many0|200|{SIZE}|{SIZE}"


@WAYS
def test_windows_of_any_size(place, tls):
    """Frames end anywhere in what has been read."""
    with client_of(place, tls, window=1) as client:
        stream = client.ask("/window")
        client.until(lambda: client.streams[stream].body)
        for size in (1, 8191, 8193, 16383, 70_001, SIZE):
            had = len(client.streams[stream].body)
            client.open_window(stream, size)
            client.until(lambda: len(client.streams[stream].body) >= min(had + size, SIZE))
        assert client.response(stream).body == body_of("window")


@WAYS
def test_a_client_that_stops_for_a_while(place, tls):
    """Longer than it is waited for, so that the rest goes by way of memory or a file."""
    with client_of(place, tls, receive_buffer=65536) as client:
        slow, other = client.ask("/long_slow"), client.ask("/long_other")
        client.until(lambda: client.streams[slow].body)
        if place.spools:
            place.wait_log("an upstream response is buffered to a temporary file", 2)
        assert client.response(slow).body == body_of("long_slow", LONG)
        assert client.response(other).body == body_of("long_other", LONG)


@WAYS
def test_streams_that_are_reset_leave_nothing_to_others(place, tls):
    with client_of(place, tls, receive_buffer=65536) as client:
        for turn in range(6):
            asked = {f"turn{turn}_{number}": client.ask(f"/turn{turn}_{number}") for number in range(6)}
            first = asked[f"turn{turn}_0"]
            client.until(lambda: client.streams[first].body)
            for name, stream in list(asked.items())[::2]:
                client.reset(stream)
                del asked[name]
            for name, stream in asked.items():
                assert client.response(stream).body == body_of(name), name


@WAYS
def test_connections_that_end_leave_nothing_to_others(place, tls):
    for turn in range(8):
        with client_of(place, tls, receive_buffer=65536) as client:
            stream = client.ask(f"/gone{turn}")
            client.until(lambda: len(client.streams[stream].body) > 100_000)
        with client_of(place, tls) as client:
            assert client.get(f"/next{turn}").body == body_of(f"next{turn}")


@WAYS
def test_an_upstream_that_is_heard_to_its_end_for_nobody(place, tls):
    with client_of(place, tls) as client:
        stream = client.ask("/goes_on/late")
        client.until(lambda: len(client.streams[stream].body) > 500_000)
        client.reset(stream)
        assert client.get("/meanwhile").body == body_of("meanwhile")
        place.gate.set()
        assert line_of(place, "/goes_on/late").endswith(f"|{SIZE}")
        assert client.get("/after").body == body_of("after")


@WAYS
def test_a_body_that_is_cut_off_is_no_whole_one(place, tls):
    with client_of(place, tls) as client:
        stream = client.ask("/cut")
        client.until(lambda: client.streams[stream].over)
        had = client.streams[stream]
        assert had.reset is not None and not had.ended
        assert bytes(had.body) == body_of("cut")[:SIZE // 2]
        assert client.get("/whole").body == body_of("whole")
    place.wait_log("upstream prematurely closed connection while reading upstream")
