"""No client has an identifier that limpet does not know: it comes back with it before its answer has ended."""
import threading

import pytest

from client import Connection, get
from daemon import Limpet
from origin import Reply

CONFIG = """
worker_processes 3;
events { }
http {
    map $upstream_cookie_mapped $mapped { default $upstream_cookie_mapped; }
    map $sent_http_x_sent $sent { default $sent_http_x_sent; }
    upstream app {
        server 127.0.0.1:{a};
        server 127.0.0.1:{b};
        sticky learn create=$upstream_cookie_id create=$mapped create=$sent create=$upstream_trailer_x_late
                     lookup=$cookie_id zone=z:1m timeout=1h {header};
    }
    server {
        listen {port};
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "upgrade";
        proxy_pass_trailers on;
        location / { proxy_pass http://app; }
        location /unbuffered/ { proxy_pass http://app; proxy_buffering off; }
        location /zipped/ { proxy_pass http://app; gzip on; gzip_types *; gzip_min_length 1; }
        location /replaced/ { proxy_pass http://app; sub_filter a b; sub_filter_types *; }
        location /own/ { proxy_pass http://app; add_header X-Sent $upstream_http_x_own; }
    }
}
"""
HEADS = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n",
    "close": b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n",
    "redirect": b"HTTP/1.1 303 See Other\r\nLocation: /\r\nContent-Length: 40\r\n",
    "early": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 40\r\n",
    "tunnel": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: upgrade\r\n",
    "large": b"HTTP/1.1 200 OK\r\nContent-Length: 20040\r\n",
}
GIVES = {"cookie": b"Set-Cookie: id=new; Path=/\r\n", "map": b"Set-Cookie: mapped=new\r\n", "nothing": b""}


class Server:
    """Answers /ANYTHING/new/HEAD/GIVES with that head, and with its body's end when it is let go."""

    def __init__(self, origin):
        self.name = origin.name.encode()
        self.go = threading.Event()
        origin.respond = self.respond

    def respond(self, request):
        if "/new/" not in request.target:
            return Reply(self.name)
        kind, gives = request.target.split("/")[-2:]
        return Reply(raw=self.answer(kind, gives), close=True)

    def answer(self, kind, gives):
        head = HEADS[kind] + b"X-Own: own\r\n" + GIVES[gives] + b"X-Name: " + self.name + b"\r\n\r\n"
        yield head + (b"x" * 20000 if kind == "large" else b"")
        self.go.wait(20)
        yield b"28\r\n" + b"y" * 40 + b"\r\n0\r\n\r\n" if kind == "chunks" else b"y" * 40


@pytest.fixture
def site(origins, request):
    """limpet before two such servers; a parameter goes to `sticky learn`."""
    pair = origins("a", "b")
    servers = [Server(origin) for origin in pair]
    with Limpet(CONFIG, a=pair[0].port, b=pair[1].port, header=getattr(request, "param", "")) as limpet:
        yield limpet
        for server in servers:
            server.go.set()


def read_head(client):
    lines = []
    while (line := client.stream.readline().rstrip(b"\r\n")):
        lines.append(line)
    return lines if not lines[0].startswith(b"HTTP/1.1 103") else read_head(client)


def begins(limpet, path, *fields):
    """The server that has begun to answer, as soon as its head is here."""
    client = Connection(limpet.port)
    client.send("\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *fields, "", ""]))
    name, = [line[8:].decode() for line in read_head(client) if line.startswith(b"X-Name: ")]
    return client, name


def keeps(limpet, session="new"):
    return {get(limpet.port, cookies={"id": session}).text for _ in range(8)}


@pytest.mark.parametrize("site", ["", "header"], indirect=True)
@pytest.mark.parametrize("kind", HEADS)
def test_a_session_is_found_as_soon_as_its_client_can_have_it(site, kind):
    upgrade = ["Upgrade: other", "Connection: upgrade"] if kind == "tunnel" else []
    client, where = begins(site, f"/new/{kind}/cookie", *upgrade)
    with client:
        assert keeps(site) == {where}


@pytest.mark.parametrize("way", ["unbuffered", "zipped", "replaced"])
@pytest.mark.parametrize("gives", ["cookie", "map"])
def test_whatever_the_answer_passes_through(site, way, gives):
    client, where = begins(site, f"/{way}/new/length/{gives}")
    with client:
        assert keeps(site) == {where}


def test_also_if_the_head_was_made_here(site):
    client, where = begins(site, "/own/new/length/nothing")
    with client:
        assert keeps(site, "own") == {where}


def test_also_for_a_client_that_has_another_session(site):
    client, where = begins(site, "/unbuffered/new/length/cookie", "Cookie: id=gone")
    with client:
        assert keeps(site) == {where}


def test_an_answer_that_breaks_off_has_begun_its_session(origins):
    """As in nginx."""
    def respond(request, name):
        if request.target == "/broken":
            return Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\nSet-Cookie: id=new\r\nX-Name: " + name.encode() +
                         b"\r\n\r\nbroken", close=True)
        return Reply(name.encode())
    pair = origins("a", "b")
    for origin in pair:
        origin.respond = lambda request, name=origin.name: respond(request, name)
    with Limpet(CONFIG, a=pair[0].port, b=pair[1].port, header="") as limpet:
        client, where = begins(limpet, "/broken")
        with client:
            assert client.stream.read() == b"broken"
        assert keeps(limpet) == {where}


def test_what_only_the_end_tells_is_entered_at_the_end(origins):
    def respond(request, name):
        if request.target == "/late":
            return Reply(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Late\r\nX-Name: " + name.encode() +
                         b"\r\n\r\n3\r\nabc\r\n0\r\nX-Late: new\r\n\r\n")
        return Reply(name.encode())
    pair = origins("a", "b")
    for origin in pair:
        origin.respond = lambda request, name=origin.name: respond(request, name)
    with Limpet(CONFIG, a=pair[0].port, b=pair[1].port, header="") as limpet:
        response = get(limpet.port, "/late")
        assert response.text == "abc"
        assert keeps(limpet) == {response.header("x-name")}
