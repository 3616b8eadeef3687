"""Where a message ends is limpet's to say, whatever the configuration says of it: to the upstream and to the client."""
import os
import shutil
import socket

import pytest

from client import Connection, get
from daemon import Limpet
from origin import Origin, Reply
from ports import free_port
from recorder import Recorder
from waiting import wait_until

INNER = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

SETTINGS = {
    "no length": 'proxy_set_header Content-Length "";',
    "another length": "proxy_set_header Content-Length 3;",
    "a length of the client's choice": "proxy_set_header content-length $arg_n;",
    "no coding": 'proxy_set_header Transfer-Encoding "";',
    "another coding": "proxy_set_header Transfer-Encoding chunked;",
    "both": 'proxy_set_header Content-Length 0; proxy_set_header Transfer-Encoding identity;',
    "a connection without a length": 'proxy_set_header Connection "close, Content-Length";',
    "the client's connection": "proxy_set_header Connection $http_connection;",
    "odd fields": 'proxy_set_header TE "trailers, chunked"; proxy_set_header Trailer "Content-Length, X"; proxy_set_header Upgrade h2c;',
    "no client fields": 'proxy_pass_request_headers off; proxy_set_header Content-Length "";',
    "another method": 'proxy_method GET; proxy_set_header Content-Length "";',
    "no body": "proxy_pass_request_body off; proxy_set_header Content-Length 30;",
    "no body, but a coding": "proxy_pass_request_body off; proxy_set_header Transfer-Encoding chunked;",
    "a body of its own": 'proxy_set_body "0123456789"; proxy_set_header Content-Length "";',
    "a body of its own, in chunks": 'proxy_set_body "0123456789"; proxy_set_header Transfer-Encoding chunked;',
}
BODIES = {"no body": b"", "no body, but a coding": b"", "a body of its own": b"0123456789",
          "a body of its own, in chunks": b"0123456789"}

CONFIG = """
events { }
http {
    upstream backend { server 127.0.0.1:{backend}; keepalive 4; }
    server {
        listen {port};
        location /ask {
            internal;
            proxy_pass http://backend;
            proxy_set_header Content-Length 20;
            proxy_set_header Transfer-Encoding chunked;
        }
        location /copy { internal; proxy_pass http://backend; proxy_set_header Content-Length ""; }
        location /asked { auth_request /ask; proxy_pass http://backend; }
        location /mirrored { mirror /copy; proxy_pass http://backend; }
        {locations}
    }
}
"""


def locations():
    for i, setting in enumerate(SETTINGS.values()):
        for name, buffering in (("whole", "on"), ("streamed", "off")):
            yield (f"location /{name}{i} {{ proxy_pass http://backend; proxy_http_version 1.1; "
                   f"proxy_request_buffering {buffering}; {setting} }}")


@pytest.fixture(scope="module")
def limpet():
    recorder = Recorder()
    with Limpet(CONFIG, workers=1, backend=recorder.port, locations="\n".join(locations())) as running:
        running.recorder = recorder
        yield running
    recorder.stop()


def seen(limpet, path, coding, count=2):
    """What the backend took for requests when one with a body that looks like a request was sent, and then another."""
    limpet.recorder.clear()
    framing = b"Content-Length: %d\r\n\r\n" % len(INNER) + INNER
    if coding == "chunked":
        framing = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(INNER) + INNER + b"\r\n0\r\n\r\n"
    with Connection(limpet.port) as client:
        client.send(b"POST " + path.encode() + b"?n=4 HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Content-Length, "
                    b"Transfer-Encoding\r\n" + framing)
        assert client.response().status == 200
        client.send(b"GET " + path.encode() + b"/next HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.response().status == 200
        wait_until(lambda: len(limpet.recorder.messages) >= count, "all requests")
    assert limpet.recorder.loose == []
    return [(message.lines, message.body) for message in limpet.recorder.messages]


@pytest.mark.parametrize("coding", ["length", "chunked"])
@pytest.mark.parametrize("way", ["whole", "streamed"])
@pytest.mark.parametrize("name", SETTINGS)
def test_a_body_stays_a_body(limpet, name, way, coding):
    path = f"/{way}{list(SETTINGS).index(name)}"
    (_, body), (following, _) = seen(limpet, path, coding)
    assert body == BODIES.get(name, INNER)
    assert following[0].split()[1].endswith(b"/next")


@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_requests_of_our_own_have_the_body_that_they_say(limpet, coding):
    bodies = sorted(body for _, body in seen(limpet, "/asked", coding, 4))
    assert bodies == [b"", b"", b"", INNER]
    bodies = sorted(body for _, body in seen(limpet, "/mirrored", coding, 4))
    assert bodies == [b"", b"", INNER, INNER]


ANSWERS = """
events { }
http {
    server {
        listen {port};
        add_header Content-Length 3 always;
        add_header Transfer-Encoding chunked always;
        add_header Connection "keep-alive, Content-Length" always;
        add_trailer Content-Length 3 always;
        location / { proxy_pass http://127.0.0.1:{origin}; proxy_pass_header Content-Length;
                     proxy_pass_header Transfer-Encoding; proxy_pass_header Connection; proxy_pass_trailers on; }
        location /own { return 200 "of our own"; }
        location /closing { return 200 "bye"; add_header Connection close; }
    }
}
"""


def test_an_answer_is_framed_once():
    def respond(request):
        return Reply(chunks=[b"twelve", b" bytes"]) if request.target == "/chunks" else Reply(b"twelve bytes")
    with Origin(respond=respond) as origin, Limpet(ANSWERS, workers=1, origin=origin.port) as limpet:
        with Connection(limpet.port) as client:
            for path, text in (("/length", "twelve bytes"), ("/chunks", "twelve bytes"), ("/own", "of our own")):
                response = client.request(path)
                assert response.text == text
                framing = response.all("content-length") + response.all("transfer-encoding")
                assert len(framing) == 1
                assert response.all("connection") == ["keep-alive"]
            closing = client.request("/closing")
            assert closing.all("connection") == ["close"]
            assert client.stream.read() == b""


def test_settings_without_effect_are_warned_of():
    with Limpet(ANSWERS.replace("location /own", 'location /set { proxy_pass http://127.0.0.1:{origin};'
                                ' proxy_set_header Content-Length ""; } location /own'), start=False,
                origin=free_port()) as limpet:
        said = limpet.run("-t").stderr
    for name in ("Content-Length", "Transfer-Encoding", "Connection"):
        assert f'[warn] "add_header {name}" is ignored' in said
    assert '[warn] "add_trailer Content-Length" is ignored' in said
    assert '[warn] "proxy_set_header Content-Length" has no effect on requests with a body' in said


# A body that has been passed on once cannot be sent again, whole or in part.

LOST = """
events { }
http {
    client_body_temp_path {dir}/bodies;
    client_body_buffer_size 8k;
    upstream backend { server 127.0.0.1:{backend}; keepalive 4; }
    server {
        listen {port};
        location /named { proxy_pass http://127.0.0.1:{origin}; proxy_request_buffering off;
                          proxy_intercept_errors on; error_page 503 = @again; }
        location /page { proxy_pass http://127.0.0.1:{origin}; proxy_request_buffering off;
                         proxy_intercept_errors on; error_page 503 /again; }
        location /again { proxy_pass http://backend; }
        location @again { proxy_pass http://backend; }
        location /bad { proxy_pass http://backend; error_page 400 500 /again; }
        location /mirrored { mirror /again; proxy_pass http://backend; }
    }
}
"""


@pytest.fixture
def lost():
    recorder = Recorder()
    with Origin(respond=lambda request: Reply(b"no", status="503 Later")) as origin, \
            Limpet(LOST, workers=1, origin=origin.port, backend=recorder.port) as limpet:
        limpet.recorder = recorder
        yield limpet
    recorder.stop()


def heard(limpet):
    assert limpet.recorder.loose == []
    return [(message.lines, message.body) for message in limpet.recorder.messages]


def test_a_body_that_is_gone_is_not_sent_in_part(lost):
    assert get(lost.port, "/named", method="POST", body=b"x" * 100_000).status == 502
    assert heard(lost) == []
    assert get(lost.port, "/page", method="POST", body=b"x" * 100_000).status == 503
    (head, body), = heard(lost)
    assert head[0].startswith(b"GET /again ") and body == b""


def test_a_body_that_is_still_here_is_sent_again(lost):
    assert get(lost.port, "/named", method="POST", body=b"x" * 5000).status == 200
    (head, body), = heard(lost)
    assert head[0].startswith(b"POST /named ") and body == b"x" * 5000


def test_a_page_for_a_broken_body_does_not_wait_for_its_rest(lost):
    with Connection(lost.port) as client:
        client.send("POST /bad HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n")
        assert client.response().status == 400
    (head, body), = heard(lost)
    assert head[0].startswith(b"GET /again ") and body == b""


def test_nothing_is_asked_on_behalf_of_a_request_that_has_failed(lost):
    """The body cannot be written to a file; the copy that waits for it must not be made when the rest has come."""
    shutil.rmtree(lost.path("bodies"))
    with open(lost.path("bodies"), "w"):
        pass  # no directory any more
    with Connection(lost.port) as client:
        client.send("POST /mirrored HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n")
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.send(b"x" * 30000)
        client.send(b"x" * 30000)
        assert client.response().status == 500
    assert get(lost.port, "/again").status == 200
    assert [head[0].split()[1] for head, _ in heard(lost)] == [b"/again"]
    os.unlink(lost.path("bodies"))
