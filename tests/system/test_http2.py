"""HTTP/2 with clients: the protocol is chosen, and whatever an answer needs works as over HTTP/1."""
import gzip
import os
import re
import socket
import ssl
import subprocess
import threading
import time

import pytest

from certificates import folder_with
from client import Connection, get
from daemon import Limpet
from http2 import CANCEL, NO_ERROR, PROTOCOL_ERROR, Http2, ask_once, client_context
from origin import Reply
from ports import free_port
from waiting import wait_until

CONFIG = """
worker_processes 1;
events { worker_connections 512; }
http {
    log_format line '$server_protocol "$request" $status $body_bytes_sent $connection_requests [$http2]';
    access_log {dir}/access.log line;
    ssl_certificate {certs}/any.test.crt;
    ssl_certificate_key {certs}/any.test.key;
    client_body_temp_path {dir}/body;
    client_max_body_size 10m;
    limit_req_zone $arg_key zone=slow:1m rate=1r/m;
    limit_conn_zone $arg_key zone=few:1m;
    upstream app { server 127.0.0.1:{app}; }
    upstream gone { server 127.0.0.1:{gone}; }

    server {
        listen {port};
        listen {tls} ssl;
        server_name localhost any.test;
        http2 on;
        root {dir};
        error_page 404 /missing.html;
        location = /missing.html { internal; return 200 "nothing here"; }
        location /said { return 200 "$http2 $server_protocol $host $request_uri $request_length"; }
        location /app/ { proxy_pass http://app/; }
        location /straight/ { proxy_request_buffering off; proxy_http_version 1.1; proxy_pass http://app/; }
        location /gone/ { proxy_pass http://gone/; error_page 502 =503 @sorry; }
        location @sorry { return 503 "sorry"; }
        location /file { }
        location /zipped { gzip on; gzip_types *; gzip_min_length 1; proxy_pass http://app; }
        location /small { client_max_body_size 1k; proxy_pass http://app; }
        location /secret { auth_request /auth; proxy_pass http://app/secret; }
        location = /auth {
            internal;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_pass http://app/auth;
        }
        location /mirrored { mirror /copy; proxy_pass http://app/mirrored; }
        location = /copy { internal; proxy_pass http://app/copy; }
        location /slow { limit_req zone=slow; proxy_pass http://app; }
        location /few { limit_conn few 1; proxy_pass http://app/waits; }
        location /hints { early_hints 1; proxy_pass http://app/hints; }
        location /trailers {
            proxy_pass_trailers on;
            proxy_http_version 1.1;
            proxy_set_header Connection "te";
            proxy_set_header TE trailers;
            add_trailer X-Mine end;
            proxy_pass http://app/trailers;
        }
        location = /measured { add_trailer X-Mine end; return 200 measured; }
        location = /unchunked { chunked_transfer_encoding off; add_trailer X-Mine end; return 200 measured; }
        location = /measured_nothing { add_trailer X-Mine end; return 200; }
        location /paced { limit_rate 40k; limit_rate_after 1k; }
    }
    server {
        listen {port};
        listen {tls} ssl;
        server_name old.test;
        return 200 "old $server_protocol";
    }
    server {
        listen {few} http2;
        keepalive_requests 3;
        http2_max_concurrent_streams 2;
        location / { proxy_pass http://app; }
    }
    server {
        listen {one};
        return 200 "one $server_protocol";
    }
}
"""


def answer(request, gate):
    path = request.target.partition("?")[0]
    if path == "/waits":
        return gate(request)
    if path == "/auth":
        return Reply(status="200 OK" if request.header("x-key") == "open" else "401 Unauthorized")
    if path == "/hints":
        return Reply(raw=b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
                         b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhints")
    if path == "/trailers":
        return Reply(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                         b"3\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n")
    if path == "/hop":
        return Reply(b"hop", headers=[("Connection", "keep-alive, X-Private"), ("Keep-Alive", "timeout=5"), ("X-Private", "1"),
                                      ("Proxy-Connection", "keep-alive"), ("Upgrade", "h2c"), ("X-Public", "1")])
    if path == "/empty":
        return Reply(status="204 No Content")
    if path == "/long":
        return Reply(LONG)
    if path == "/chunks":
        return Reply(chunks=[b"one ", b"two ", b"three"])
    if path == "/zipped":
        return Reply(b"abc" * 10000, headers=[("Content-Type", "text/plain")])
    if path == "/cut":
        return Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", close=True)
    return Reply(b"%s %d" % (request.method.encode(), len(request.body)), headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])


LONG = os.urandom(3 << 20)


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return folder_with(tmp_path_factory, "any.test")


@pytest.fixture
def app(origins, gate):
    (made,) = origins("app", respond=lambda request: answer(request, gate))
    return made


@pytest.fixture
def limpet(certs, app):
    with Limpet(CONFIG, certs=certs, app=app.port, gone=free_port(), tls=free_port(), few=free_port(), one=free_port()) as limpet:
        with open(limpet.path("file"), "wb") as file:
            file.write(LONG)
        with open(limpet.path("paced"), "wb") as file:
            file.write(LONG[:80000])
        yield limpet


def log(limpet, pattern):
    """The first line of the access log that matches; lines come when a request has ended."""
    def find():
        with open(limpet.path("access.log")) as text:
            return next((line.strip() for line in text if re.search(pattern, line)), None)
    return wait_until(find, f"an access log line like {pattern}")


def over_tls(limpet, path="/said", sni="any.test", offer=("h2", "http/1.1"), **more):
    return ask_once(limpet.values["tls"], path, tls=client_context(offer), sni=sni, scheme="https", **more)


def negotiated(limpet, sni, offer):
    with socket.create_connection(("127.0.0.1", limpet.values["tls"])) as plain:
        with client_context(offer).wrap_socket(plain, server_hostname=sni) as tls:
            return tls.selected_alpn_protocol()


# How it is chosen

def test_the_preface_decides_on_a_plain_listener_and_http1_goes_on_beside_it(limpet):
    assert ask_once(limpet.port, "/said?a").text.startswith("h2c HTTP/2.0 localhost /said?a")
    assert get(limpet.port, "/said?a").text.startswith(" HTTP/1.1 localhost /said?a")


def test_the_preface_may_come_byte_by_byte(limpet):
    class Slow(Http2):
        def send(self, data):
            for byte in data:
                self.socket.sendall(bytes([byte]))

    with Slow(limpet.port) as client:
        assert client.get("/said").status == 200


def test_a_listener_without_http2_refuses_the_preface(limpet):
    with Connection(limpet.values["one"]) as client:
        client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert client.response().status in (400, 505)
    with Connection(limpet.port) as client:  # nor a preface that is none
        client.send("PRI * HTTP/2.0\r\n\r\nxxxxxxxx")
        assert client.response().status in (400, 505)


def test_alpn_goes_by_the_server_of_the_name(limpet):
    assert negotiated(limpet, "any.test", ("h2", "http/1.1")) == "h2"
    assert negotiated(limpet, "any.test", ("http/1.1", "h2")) == "h2"
    assert negotiated(limpet, "any.test", ("http/1.1",)) == "http/1.1"
    assert negotiated(limpet, "any.test", ()) is None
    assert negotiated(limpet, "old.test", ("h2", "http/1.1")) == "http/1.1"
    assert negotiated(limpet, "unknown.test", ("h2", "http/1.1")) == "h2"
    with pytest.raises(ssl.SSLError):
        negotiated(limpet, "old.test", ("h2",))


def test_openssl_sees_the_protocol(limpet):
    made = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{limpet.values['tls']}", "-servername", "any.test",
                           "-alpn", "h2,http/1.1"], input="", capture_output=True, text=True, errors="replace", timeout=60)
    assert "ALPN protocol: h2" in made.stdout


def test_tls_is_h2_and_a_name_without_http2_is_misdirected(limpet):
    assert over_tls(limpet).text.startswith("h2 HTTP/2.0 localhost /said")
    assert over_tls(limpet, authority="old.test").status == 421
    assert ask_once(limpet.port, authority="old.test").status == 421
    assert get(limpet.port, host="old.test").text == "old HTTP/1.1"


def test_a_listen_with_http2_is_for_all_its_servers(limpet):
    assert ask_once(limpet.values["few"], "/x", authority="whatever").status == 200


@pytest.mark.parametrize("how", ["--http2-prior-knowledge", "--http2"])
def test_curl(limpet, how):
    url = f"http://127.0.0.1:{limpet.port}/said" if "prior" in how else f"https://127.0.0.1:{limpet.values['tls']}/said"
    made = subprocess.run(["curl", "-sk", how, "-w", " %{http_version}", url], capture_output=True, text=True, timeout=60)
    assert made.stdout.split()[1] == "HTTP/2.0" and made.stdout.endswith(" 2")


def test_curl_uploads(limpet, tmp_path):
    (tmp_path / "up").write_bytes(LONG)
    made = subprocess.run(["curl", "-s", "--http2-prior-knowledge", "-T", str(tmp_path / "up"), "-H", "Expect:",
                           f"http://127.0.0.1:{limpet.port}/app/up", "-o", str(tmp_path / "said")],
                          capture_output=True, text=True, timeout=60)
    assert made.returncode == 0
    assert (tmp_path / "said").read_text() == f"PUT {len(LONG)}"


# What an answer needs

def test_heads_and_bodies(limpet, app):
    with Http2(limpet.port) as client:
        response = client.get("/app/x", headers=[("x-a", "1"), ("cookie", "a=1"), ("cookie", "b=2")])
        assert response.text == "GET 0"
        assert response.all("set-cookie") == ["a=1", "b=2"]
        assert all(name == name.lower() for name, _ in response.headers)
        assert not {"connection", "transfer-encoding", "keep-alive"} & {name for name, _ in response.headers}
        seen = app.requests[-1]
        assert seen.header("cookie") == "a=1; b=2" and seen.header("x-a") == "1"
        assert client.get("/app/long").body == LONG
        assert client.get("/app/chunks").body == b"one two three"
        assert client.get("/app/empty").status == 204
        head = client.get("/app/long", method="HEAD")
        assert head.body == b"" and head.header("content-length") == str(len(LONG))
        assert client.get("/missing").text == "nothing here"
        assert client.get("/gone/").status == 503


def test_fields_of_the_upstreams_connection_do_not_reach_the_client(limpet):
    """RFC 9113 8.2.2: a client must refuse an answer that has them."""
    response = ask_once(limpet.port, "/app/hop")
    assert response.text == "hop" and response.header("x-public") == "1"
    assert not {"connection", "keep-alive", "proxy-connection", "upgrade", "transfer-encoding"} & {n for n, _ in response.headers}


def test_many_at_once(limpet):
    with Http2(limpet.port) as client:
        asked = [client.ask(path) for path in ["/app/long", "/file", "/app/chunks", "/said"] * 5]
        for stream, want in zip(asked, [LONG, LONG, b"one two three", None] * 5):
            response = client.response(stream)
            assert response.status == 200 and (want is None or response.body == want)


def test_ranges(limpet):
    with Http2(limpet.port) as client:
        one = client.get("/file", headers=[("range", "bytes=100-199")])
        assert (one.status, one.body) == (206, LONG[100:200])
        assert client.get("/file", headers=[("range", "bytes=0-0,5-6")]).header("content-type").startswith("multipart/")
        assert client.get("/file", headers=[("range", "bytes=99999999-")]).status == 416
        etag = client.get("/file", method="HEAD").header("etag")
        assert client.get("/file", headers=[("if-none-match", etag)]).status == 304


def test_gzip(limpet):
    response = ask_once(limpet.port, "/zipped", headers=[("accept-encoding", "gzip")])
    assert response.header("content-encoding") == "gzip"
    assert gzip.decompress(response.body) == b"abc" * 10000


@pytest.mark.parametrize("where", ["/app/up", "/straight/up"])
@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 700_000])
def test_uploads(limpet, app, where, length, size):
    with Http2(limpet.port) as client:
        assert client.post(where, LONG[:size], length=length).text == f"POST {size}"
    assert app.requests[-1].body == LONG[:size]


def test_a_body_that_comes_with_the_preface(limpet, app):
    """In one read: its bytes must outlive what is done with the preface."""
    class Together(Http2):
        held = b""

        def send(self, data):
            self.held += data

    with Together(limpet.port) as client:
        stream = client.ask("/app/up", method="POST", end=False)
        client.data(stream, LONG[:10_000])
        client.socket.sendall(client.held)
        assert client.response(stream).text == "POST 10000"
    assert app.requests[-1].body == LONG[:10_000]


def test_uploads_at_once(limpet):
    with Http2(limpet.port) as client:
        asked = [client.ask("/app/up", method="POST", end=False) for _ in range(10)]
        for part in range(4):
            for stream in asked:
                client.data(stream, LONG[:100_000], end=part == 3)
        assert [client.response(stream).text for stream in asked] == ["POST 400000"] * 10


def test_a_body_is_as_long_as_its_head_says(limpet, app):
    for said, sent in ((5, 4), (5, 6)):
        with Http2(limpet.port) as client:
            hits = app.hits
            stream = client.ask("/app/up", method="POST", headers=[("content-length", str(said))], end=False)
            client.data(stream, b"x" * sent)
            client.until(lambda: client.streams[stream].over)
            had = client.streams[stream]
            assert had.reset == PROTOCOL_ERROR or had.status == 400
            assert client.get("/said").status == 200  # it goes on
            assert app.hits == hits


def test_an_early_answer_ends_an_upload(limpet):
    with Http2(limpet.port) as client:
        stream = client.ask("/small", method="POST", headers=[("content-length", "5000")], end=False)
        client.until(lambda: client.streams[stream].over)
        assert client.streams[stream].status == 413
        stream = client.ask("/small", method="POST", end=False)  # of unknown length
        client.data(stream, b"x" * 5000, end=False)
        client.until(lambda: client.streams[stream].headers is not None or client.streams[stream].over)
        assert client.streams[stream].status == 413
        assert client.get("/said").status == 200


def test_an_upstream_that_breaks_off_resets_the_stream(limpet):
    with Http2(limpet.port) as client:
        stream = client.ask("/app/cut")
        client.until(lambda: client.streams[stream].over)
        assert client.streams[stream].reset is not None and bytes(client.streams[stream].body) == b"half"
        assert client.get("/said").status == 200


def test_auth_request(limpet):
    with Http2(limpet.port) as client:
        assert client.get("/secret").status == 401
        assert client.get("/secret", headers=[("x-key", "open")]).status == 200
        assert client.post("/secret", b"x" * 100, headers=[("x-key", "open")]).text == "POST 100"


def test_mirror(limpet, app):
    with Http2(limpet.port) as client:
        assert client.post("/mirrored", b"x" * 20000).text == "POST 20000"
    copy = wait_until(lambda: next((r for r in app.requests if r.target == "/copy"), None), "the copy")
    assert len(copy.body) == 20000


def test_limits(limpet, gate):
    with Http2(limpet.port) as client:
        assert [client.get("/slow?key=a").status for _ in range(2)] == [200, 503]
        first = client.ask("/few?key=a")
        gate.waiting.acquire(timeout=20)
        assert client.get("/few?key=a").status == 503
        gate.opened.set()
        assert client.response(first).status == 200


def test_early_hints(limpet):
    response = ask_once(limpet.port, "/hints")
    assert response.text == "hints"
    assert [dict(fields)[":status"] for fields in response.interim] == ["103"]
    assert dict(response.interim[0])["link"] == "</style.css>; rel=preload"


def test_trailers(limpet):
    response = ask_once(limpet.port, "/trailers", headers=[("te", "trailers")])
    assert response.body == b"abc"
    assert ("x-mine", "end") in (response.trailers or [])
    assert ("x-sum", "6") in response.trailers


@pytest.mark.parametrize("path, body", [("/measured", b"measured"), ("/unchunked", b"measured"),
                                        ("/measured_nothing", b"")])
def test_trailers_leave_the_length(limpet, path, body):
    response = ask_once(limpet.port, path)
    assert (response.body, response.header("content-length")) == (body, str(len(body)))
    assert ("x-mine", "end") in response.trailers


def test_trailers_of_a_request_are_no_second_head(limpet):
    with Http2(limpet.port) as client:
        stream = client.ask("/app/up", method="POST", end=False)
        client.data(stream, b"abc", end=False)
        client.head([("x-sum", "6")], stream=stream)
        assert client.response(stream).text == "POST 3"


def test_limit_rate(limpet):
    begin = time.monotonic()
    assert ask_once(limpet.port, "/paced").body == LONG[:80000]
    assert time.monotonic() - begin > 0.5


# The connection

def test_it_leaves_when_it_has_served_its_share(limpet):
    with Http2(limpet.values["few"]) as client:
        assert [client.get("/x").status for _ in range(3)] == [200] * 3
        assert client.wait_end() == NO_ERROR
        assert client.goaway.last_stream_id == 5


def test_streams_beyond_the_limit_are_refused_and_may_come_again(limpet, gate):
    with Http2(limpet.values["few"]) as client:
        first = [client.ask("/waits"), client.ask("/waits")]
        third = client.ask("/x")
        client.until(lambda: client.streams[third].over)
        assert client.streams[third].reset == 7  # REFUSED_STREAM
        gate.opened.set()
        assert [client.response(stream).status for stream in first] == [200, 200]


def test_a_stream_that_is_reset_ends_its_upstream_alone(limpet, app, gate):
    with Http2(limpet.port) as client:
        streams = [client.ask("/app/waits"), client.ask("/app/waits")]
        for _ in streams:
            gate.waiting.acquire(timeout=20)
        client.reset(streams[0], CANCEL)
        assert client.get("/said").status == 200
        log(limpet, r'"GET /app/waits HTTP/2.0" 499')
        gate.opened.set()
        assert client.response(streams[1]).text == "late"


def test_the_log_tells_of_each_request(limpet):
    with Http2(limpet.port) as client:
        client.get("/said?1")
        client.get("/said?2")
        length = len(client.get("/app/chunks").body)
    assert log(limpet, "said.1").startswith('HTTP/2.0 "GET /said?1 HTTP/2.0" 200 ')
    assert log(limpet, "said.2").endswith(" 2 [h2c]")
    assert log(limpet, "chunks") == f'HTTP/2.0 "GET /app/chunks HTTP/2.0" 200 {length} 3 [h2c]'


def test_the_log_tells_of_a_field_that_is_ignored(limpet):
    with Http2(limpet.port) as client:
        assert client.get("/said?4", headers=[("a_b", "1"), ("c_d", "2")]).status == 200
    limpet.wait_log(r'client sent invalid header: "a_b" while reading client request headers, client: 127.0.0.1')


def test_a_slow_stream_does_not_hold_the_others(limpet):
    with Http2(limpet.port, reads=False) as client:
        slow = client.ask("/app/long")
        client.until(lambda: len(client.streams[slow].body) >= 60000)
        client.open_window(0, 1 << 20)  # of the connection; the slow stream's is used up
        assert client.response(client.ask("/app/chunks")).body == b"one two three"
        client.reads = True
        client.open_window(slow, 1 << 20)
        client.open_window(0, 1 << 22)
        assert client.response(slow).body == LONG


def test_downloads_by_many_clients(limpet):
    failures = []

    def run():
        try:
            with Http2(limpet.port) as client:
                for stream in [client.ask("/app/long") for _ in range(3)]:
                    assert client.response(stream).body == LONG
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
