"""Which failures of an upstream go to the next one, and what the client hears; early hints; HEAD and HTTP/1.0 upstreams."""
import itertools
import socket
import struct
import threading
import time

import pytest

from client import Connection, get
from daemon import Limpet
from origin import Origin, Reply
from waiting import PATIENCE

CONFIG = """
events { }
http {
    upstream pair { server 127.0.0.1:{bad} max_fails=0; server 127.0.0.1:{good} backup; }
    upstream alone { server 127.0.0.1:{bad} max_fails=0; }
    early_hints $http_x_hints;
    server {
        listen {port};
        proxy_read_timeout 300ms;
        add_header X-Tried $upstream_status always;
        location / { proxy_pass http://pair; }
        location /500 { proxy_pass http://pair; proxy_next_upstream http_500; }
        location /404 { proxy_pass http://pair; proxy_next_upstream http_404; }
        location /429 { proxy_pass http://pair; proxy_next_upstream http_429 non_idempotent; }
        location /header { proxy_pass http://pair; proxy_next_upstream invalid_header; }
        location /off { proxy_pass http://pair; proxy_next_upstream off; }
        location /once { proxy_pass http://pair; proxy_next_upstream_tries 1; }
        location /any { proxy_pass http://pair; proxy_next_upstream error timeout non_idempotent; }
        location /intercept { proxy_pass http://alone; proxy_intercept_errors on; error_page 500 502 504 =503 /sorry; }
        location /pages { proxy_pass http://alone; proxy_intercept_errors on; recursive_error_pages on; error_page 500 @second; }
        location /page { proxy_pass http://alone; proxy_intercept_errors on; error_page 500 @second; }
        location @second { proxy_pass http://alone; proxy_intercept_errors on; error_page 500 =200 @third; }
        location @third { proxy_pass http://127.0.0.1:{good}; proxy_set_header X-Before "$upstream_status $upstream_addr"; }
        location /stream { proxy_pass http://pair; proxy_request_buffering off; }
        location /stream_502 { proxy_pass http://pair; proxy_request_buffering off; proxy_next_upstream http_502; }
        location /unix { proxy_pass http://unix:{dir}/none.sock; }
        location /tls { proxy_pass https://alone; proxy_connect_timeout 200ms; }
        location /implicit { proxy_pass http://localhost:{good}; }
        location /byname { proxy_pass http://$arg_to; }
        location /sorry { return 200 "sorry $upstream_status"; }
        location /head { proxy_pass http://alone; proxy_method HEAD; }
        location /old { proxy_pass http://alone; proxy_http_version 1.0; proxy_request_buffering off; }
    }
}
"""
CLOSED = Reply(raw=b"", close=True)
SILENT = Reply(raw=b"")
WRONG = Reply(raw=b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n", close=True)


def failed(status):
    return Reply(b"bad", status=status)


@pytest.fixture(scope="module")
def limpet():
    with Origin("bad") as bad, Origin("good") as good:
        with Limpet(CONFIG, workers=1, bad=bad.port, good=good.port) as running:
            running.bad, running.good = bad, good
            yield running


# path, method, what the first says -> status, whether the second was asked
TABLE = [
    ("/", "GET", CLOSED, 200, True),
    ("/", "GET", SILENT, 200, True),
    ("/", "GET", WRONG, 502, False),
    ("/", "GET", failed("500 X"), 500, False),
    ("/", "POST", CLOSED, 502, False),
    ("/", "POST", SILENT, 504, False),
    ("/any", "POST", CLOSED, 200, True),
    ("/any", "POST", SILENT, 200, True),
    ("/500", "GET", failed("500 X"), 200, True),
    ("/500", "POST", failed("500 X"), 500, False),
    ("/500", "PUT", failed("500 X"), 200, True),
    ("/500", "GET", failed("404 X"), 404, False),
    ("/404", "GET", failed("404 X"), 200, True),
    ("/429", "POST", failed("429 X"), 200, True),
    ("/header", "GET", WRONG, 200, True),
    ("/off", "GET", CLOSED, 502, False),
    ("/once", "GET", CLOSED, 502, False),
    ("/stream", "PUT", CLOSED, 200, True),
    ("/stream", "PUT", SILENT, 200, True),
    ("/stream", "POST", CLOSED, 502, False),
    ("/stream_502", "PUT", failed("502 X"), 200, True),
]


@pytest.mark.parametrize("path, method, reply, status, second", TABLE)
def test_the_table(limpet, path, method, reply, status, second):
    limpet.bad.respond = lambda request: reply
    before = limpet.good.hits
    response = get(limpet.port, path, method=method, body=b"text" if method != "GET" else b"")
    assert response.status == status
    assert (limpet.good.hits > before) == second
    assert len(response.header("x-tried").split(", ")) == (2 if second else 1)
    if second:
        assert limpet.good.requests[-1].body == (b"text" if method != "GET" else b"")


def test_a_body_that_is_not_kept_is_not_sent_again(limpet):
    limpet.bad.respond = lambda request: CLOSED
    before = limpet.good.hits
    assert get(limpet.port, "/stream", method="PUT", body=b"b" * 100_000).status == 502
    assert limpet.good.hits == before


def test_a_body_under_way_goes_to_the_second_from_its_beginning(limpet, monkeypatch):
    monkeypatch.setattr(limpet.bad, "_exchange", lambda connection, stream: stream.readline() == b"")
    monkeypatch.setattr(limpet.good, "respond", lambda request: Reply(request.body))
    failures = r"while (sending|reading).*PUT /stream "
    before = len(limpet.log_lines(failures))
    with Connection(limpet.port) as connection:
        connection.send("PUT /stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        limpet.wait_log(failures, before + 1)
        connection.send("2\r\nde\r\n0\r\n\r\n")
        assert connection.response().text == "abcde"


def trickle():
    """A head in 2 s."""
    yield b"HTTP/1.1 200 OK\r\n"
    for _ in range(40):
        time.sleep(0.05)
        yield b"X: y\r\n"
    yield b"Content-Length: 2\r\n\r\nok"


def test_the_read_timeout_is_that_of_the_whole_head(limpet):
    limpet.bad.respond = lambda request: Reply(raw=trickle())
    response = get(limpet.port, "/")
    assert (response.text, response.header("x-tried")) == ("good", "504, 200")


def test_a_name_that_another_proxy_pass_has_made_a_group_is_that_group(limpet):
    assert get(limpet.port, f"/byname?to=LocalHost:{limpet.good.port}").text == "good"
    assert get(limpet.port, f"/byname?to=localhost:{limpet.bad.port}").status == 502  # another port: no resolver knows it


def test_pages_for_failures(limpet):
    for reply, status in ((CLOSED, "502"), (SILENT, "504"), (failed("500 X"), "500")):
        limpet.bad.respond = lambda request: reply
        response = get(limpet.port, "/intercept")
        assert (response.status, response.text) == (503, f"sorry {status}")
    limpet.bad.respond = lambda request: failed("404 X")
    assert get(limpet.port, "/intercept").text == "bad"


def test_a_page_that_fails_has_pages_of_its_own_if_the_first_location_says_so(limpet):
    limpet.bad.respond = lambda request: failed("500 X")
    assert get(limpet.port, "/pages").text == "good"
    assert get(limpet.port, "/page").status == 500


def test_a_request_tells_who_was_asked_before_and_not_whom_it_goes_to(limpet):
    limpet.bad.respond = lambda request: failed("500 X")
    get(limpet.port, "/pages")
    bad = f"127.0.0.1:{limpet.bad.port}"
    assert limpet.good.requests[-1].header("x-before") == f"500 : 500 {bad} : {bad}"


def test_the_log_says_how_far_a_peer_came(limpet):
    limpet.bad.respond = lambda request: WRONG
    get(limpet.port, "/header")
    limpet.wait_log(r'upstream sent invalid header: "X\\x20\.\.\." while reading response header')
    limpet.bad.respond = lambda request: Reply(raw=b"HTTP/1.1 200 OK\r\nX: a\x1bb\r\n\r\n", close=True)
    get(limpet.port, "/header")
    limpet.wait_log(r'upstream sent invalid header: "X: a\\x1b\.\.\." while reading response header')
    assert get(limpet.port, "/tls").status == 504
    limpet.wait_log(r"upstream timed out .* while SSL handshaking to upstream")


def test_the_log_is_louder_about_what_no_network_does(limpet):
    assert get(limpet.port, "/unix").status == 502
    limpet.wait_log(r"\[crit\] .*connect\(\) to unix:\S+ failed \(2: No such file or directory\) while connecting to upstream, client")


def test_the_log_says_that_a_peer_reset_a_long_body(limpet, monkeypatch):
    body, has_come = b"b" * 200_000, threading.Event()

    def reset(connection, stream):
        stream.readline()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + body)
        assert has_come.wait(PATIENCE)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    monkeypatch.setattr(limpet.bad, "_exchange", reset)
    with Connection(limpet.port) as connection:
        connection.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        while connection.stream.readline().strip():
            pass
        assert connection.stream.read(len(body)) == body
        has_come.set()
        assert connection.stream.read() == b""
    limpet.wait_log(r"recv\(\) failed \(104: .*\) while reading upstream")


def test_the_log_names_the_file_of_a_large_body(limpet):
    limpet.bad.respond = lambda request: Reply(b"fine")
    assert get(limpet.port, "/", method="POST", body=b"b" * 100000).text == "fine"
    limpet.wait_log(r"a client request body is buffered to a temporary file /\S+, client")


def test_early_hints(limpet):
    raw = (b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nX-Accel-Expires: 1\r\n\r\n"
           b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    limpet.bad.respond = lambda request: Reply(raw=raw)
    with Connection(limpet.port) as connection:
        hints = connection.request("/", headers=[("X-Hints", "1")])
        assert hints.status == 103 and hints.headers == [("Link", "</a.css>; rel=preload")]
        assert connection.response().text == "ok"
        for value in ("0", ""):  # the interim response stays here
            assert connection.request("/", headers=[("X-Hints", value)]).text == "ok"


def test_early_hints_without_end(limpet):
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </" + b"a" * 500 + b">\r\n\r\n"
    limpet.bad.respond = lambda request: Reply(raw=itertools.repeat(hint))
    with Connection(limpet.port) as connection:
        connection.send("GET /off HTTP/1.1\r\nHost: x\r\nX-Hints: 1\r\n\r\n")
        answers = []
        while len(answers) < 16 and (not answers or answers[-1] == 103):
            answers.append(connection.response().status)
        assert answers[-1] == 502
    limpet.wait_log("upstream sent too big header while reading response header")


def test_an_upstream_that_is_asked_with_head(limpet):
    limpet.bad.respond = lambda request: Reply(b"text")
    with Connection(limpet.port) as connection:
        for _ in range(3):  # the length it tells is not that of a body
            assert connection.request("/head").body == b""
    assert limpet.bad.requests[-1].method == "HEAD"


def test_chunks_are_gathered_for_http_1_0(limpet):
    limpet.bad.respond = lambda request: Reply(request.body, close=True)
    with Connection(limpet.port) as connection:
        connection.send("POST /old HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        assert connection.response().text == "abcde"
    asked = limpet.bad.requests[-1]
    assert asked.version == "HTTP/1.0" and asked.header("content-length") == "5"
    assert asked.header("transfer-encoding") is None
