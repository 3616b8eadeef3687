"""Every kind of stickiness over HTTP/2, also when a browser's requests are all under way before the first is answered."""
import json

import pytest

from client import get
from daemon import Limpet
from http2 import Http2, ask_once
from origin import Reply

CONFIG = """
worker_processes 2;
events { worker_connections 512; }
http {
    upstream learn {
        zone learn 256k;
        server 127.0.0.1:{a};
        server 127.0.0.1:{b};
        server 127.0.0.1:{c};
        sticky learn create=$upstream_cookie_sid lookup=$cookie_sid zone=sessions:1m header;
        {first}
    }
    upstream cookie {
        zone cookie 256k;
        server 127.0.0.1:{a};
        server 127.0.0.1:{b};
        server 127.0.0.1:{c};
        sticky cookie srv path=/ httponly;
    }
    upstream route {
        zone route 256k;
        server 127.0.0.1:{a} route=a;
        server 127.0.0.1:{b} route=b;
        server 127.0.0.1:{c} route=c;
        sticky route $cookie_route $arg_route;
    }
    upstream hash {
        server 127.0.0.1:{a};
        server 127.0.0.1:{b};
        server 127.0.0.1:{c};
        hash $cookie_id consistent;
    }
    upstream address {
        server 127.0.0.1:{a};
        server 127.0.0.1:{b};
        server 127.0.0.1:{c};
        ip_hash;
    }
    server {
        listen {port};
        http2 on;
        add_header X-Sticky $sticky_status;
        location /learn { proxy_pass http://learn; }
        location /cookie { proxy_pass http://cookie; }
        location /route { proxy_pass http://route; }
        location /hash { proxy_pass http://hash; }
        location /address { proxy_pass http://address; }
        location /status/ { api /status/; }
    }
}
"""


@pytest.fixture
def servers(origins):
    made = origins("a", "b", "c")
    count = [0]

    def respond(request, name):
        if request.target != "/learn" or "sid=" in request.header("cookie", ""):
            return Reply(name.encode())
        count[0] += 1
        return Reply(name.encode(), headers=[("Set-Cookie", f"sid={name}{count[0]}; Path=/")], delay=0.05)

    for origin in made:
        origin.respond = lambda request, name=origin.name: respond(request, name)
    return made


def start(servers, first=""):
    return Limpet(CONFIG, first=first, **{origin.name: origin.port for origin in servers})


@pytest.fixture
def limpet(servers):
    with start(servers) as limpet:
        yield limpet


def all_of(client, streams):
    return [client.response(stream) for stream in streams]


def test_learn(limpet):
    sessions = {}
    for _ in range(20):
        response = ask_once(limpet.port, "/learn")
        sessions[response.cookie("sid")] = response.text
    assert len(set(sessions.values())) == 3
    with Http2(limpet.port) as client:  # many sessions over one connection, all at once
        asked = [(client.ask("/learn", headers=[("cookie", f"sid={sid}")]), name) for sid, name in sessions.items() for _ in "ab"]
        assert all(client.response(stream).text == name for stream, name in asked)
    for sid, name in sessions.items():  # and HTTP/1 knows them
        assert get(limpet.port, "/learn", cookies={"sid": sid}).text == name


def test_learn_finds_a_session_among_the_crumbs_of_a_cookie(limpet):
    first = ask_once(limpet.port, "/learn")
    crumbs = [("cookie", "theme=dark"), ("cookie", f"sid={first.cookie('sid')}"), ("cookie", "lang=en")]
    with Http2(limpet.port) as client:
        for _ in range(9):
            assert client.get("/learn", headers=crumbs).text == first.text


def test_sticky_cookie(limpet):
    with Http2(limpet.port) as client:
        first = client.get("/cookie")
        cookie = [("cookie", f"srv={first.cookie('srv')}")]
        assert {r.text for r in all_of(client, [client.ask("/cookie", headers=cookie) for _ in range(30)])} == {first.text}
        assert {r.text for r in all_of(client, [client.ask("/cookie") for _ in range(30)])} == {"a", "b", "c"}


def test_sticky_route(limpet):
    with Http2(limpet.port) as client:
        asked = [(client.ask("/route", headers=[("cookie", "x=y"), ("cookie", f"route={name}")]), name) for name in "abc" * 10]
        asked += [(client.ask(f"/route?route={name}"), name) for name in "abc" * 10]
        assert all(client.response(stream).text == name for stream, name in asked)


def test_hash(limpet):
    with Http2(limpet.port) as client:
        keys = [f"key-{i}" for i in range(30)]
        asked = [client.ask("/hash", headers=[("cookie", f"id={key}")]) for key in keys]
        at_once = [response.text for response in all_of(client, asked)]
    assert len(set(at_once)) == 3
    assert [get(limpet.port, "/hash", cookies={"id": key}).text for key in keys] == at_once


def test_ip_hash(limpet):
    with Http2(limpet.port) as client:
        answers = {response.text for response in all_of(client, [client.ask("/address") for _ in range(30)])}
    assert answers == {get(limpet.port, "/address").text}


def test_a_session_survives_its_connection_and_a_reload(limpet):
    first = ask_once(limpet.port, "/learn")
    limpet.reload()
    for _ in range(9):
        assert ask_once(limpet.port, "/learn", headers=[("cookie", f"sid={first.cookie('sid')}")]).text == first.text


def first_page(limpet, requests=10):
    """A browser's: all requests before any answer."""
    with Http2(limpet.port) as client:
        return all_of(client, [client.ask("/learn") for _ in range(requests)])


def test_parallel_first_requests_begin_several_sessions_as_elsewhere(limpet):
    assert len({response.text for response in first_page(limpet)}) > 1


def test_sticky_first_lets_parallel_first_requests_share_a_server(servers):
    with start(servers, "sticky_first wait=2s;") as limpet:
        pages = [first_page(limpet) for _ in range(6)]
        for page in pages:
            assert len({response.text for response in page}) == 1
            assert [response.header("x-sticky") for response in page].count("joined") >= len(page) - 2
        assert len({page[0].text for page in pages}) > 1  # connections do not follow each other


def test_sticky_first_is_over_with_the_first_answer(servers):
    with start(servers, "sticky_first wait=2s;") as limpet, Http2(limpet.port) as client:
        assert len({client.get("/learn").text for _ in range(9)}) > 1


def test_sticky_first_leaves_sessions_alone(servers):
    with start(servers, "sticky_first wait=2s;") as limpet:
        known = {}
        while len(set(known.values())) < 3:
            response = ask_once(limpet.port, "/learn")
            known[response.cookie("sid")] = response.text
        with Http2(limpet.port) as client:
            new = [client.ask("/learn") for _ in range(3)]
            old = [(client.ask("/learn", headers=[("cookie", f"sid={sid}")]), name) for sid, name in known.items()]
            assert all(client.response(stream).text == name for stream, name in old)
            assert len({response.text for response in all_of(client, new)}) == 1


def test_the_api_knows_the_sessions(limpet):
    for _ in range(5):
        ask_once(limpet.port, "/learn")
    page = json.loads(ask_once(limpet.port, "/status/sessions/sessions").text)
    assert page["active"] == 5
