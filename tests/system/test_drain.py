"""A server that is taken out on purpose: it keeps its sessions, gets no new one, and says when it is empty."""
import json
import signal

import pytest

from client import Connection, get
from daemon import Limpet
from origin import Reply
from waiting import wait_until
from websocket import TEXT, frame, read_frame, upgrade

CONFIG = """
worker_processes 3;
events { }
http {
    upstream app {
        zone app 64k;
        server 127.0.0.1:{a} {first};
        server 127.0.0.1:{b};
        {sticky}
    }
    server {
        listen {port};
        location / {
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
        }
        location /status/ { api /status/; }
    }
}
"""
LEARN = "sticky learn create=$upstream_cookie_id lookup=$cookie_id zone=z:64k timeout=4s gc_period=1s;"


@pytest.fixture
def servers(origins):
    def respond(request, name):
        path, _, query = request.target.partition("?")
        return Reply(name.encode(), headers=[("Set-Cookie", f"id={query}")] if path == "/login" else [])

    pair = origins("a", "b")
    for origin in pair:
        origin.respond = lambda request, name=origin.name: respond(request, name)
    return pair


def start(servers, first="", sticky=LEARN):
    a, b = servers
    return Limpet(CONFIG, a=a.port, b=b.port, first=first, sticky=sticky)


def drain(limpet, how="drain"):
    limpet.values["first"] = how
    limpet.reload(CONFIG)


def state(limpet):
    return json.loads(get(limpet.port, "/status/upstreams/app").text)["peers"][0]["state"]


def session_at(limpet, name):
    session = next(session for session in map(str, range(20)) if get(limpet.port, f"/login?{session}").text == name)
    # It is learned once the response has ended, which its client may see a moment earlier.
    wait_until(lambda: get(limpet.port, cookies={"id": session}).text == name, "the session")
    return session


def drained(limpet, count=1):
    return limpet.wait_log(rf"\[notice\].*peer 127.0.0.1:{limpet.values['a']} in upstream \"app\" is drained", count)


def test_the_end_of_the_last_session_is_told_once(servers):
    with start(servers) as limpet:
        session = session_at(limpet, "a")
        drain(limpet)
        assert state(limpet) == "draining"
        assert {get(limpet.port).text for _ in range(10)} == {"b"}
        assert get(limpet.port, cookies={"id": session}).text == "a"
        assert not limpet.log_lines("is drained")
        line, = drained(limpet)  # its session is idle from now on, and ends
        assert "its last session and its last connection have ended" in line
        assert state(limpet) == "drained"
        limpet.reload()
        assert state(limpet) == "drained"
        assert len(drained(limpet)) == 1


def test_a_session_that_comes_back_is_missed_again(servers):
    config = CONFIG.replace("api /status/;", "api /status/ write=on;")
    with Limpet(config, a=servers[0].port, b=servers[1].port, first="", sticky=LEARN) as limpet:
        session = session_at(limpet, "b")
        limpet.values["first"] = "drain"
        limpet.reload(config)
        wait_until(lambda: get(limpet.port, cookies={"id": session}).text == "b" and limpet.log_lines("is drained"), "the drain")
        body = json.dumps({"move": {"to": f"127.0.0.1:{servers[0].port}"}}).encode()
        assert get(limpet.port, f"/status/sessions/z/{session}", method="POST", body=body,
                   headers=[("Content-Type", "application/json")]).status == 200
        wait_until(lambda: state(limpet) == "draining", "the drain to go on")
        assert get(limpet.port, cookies={"id": session}).text == "a"
        drained(limpet, 2)  # when it has ended
        assert state(limpet) == "drained"


@pytest.mark.parametrize("failback", ["immediate", "idle"])
def test_a_server_that_drains_is_nobodys_home(servers, failback):
    """A session that has moved away from it does not go back, and does not keep it from being empty."""
    config = CONFIG.replace("api /status/;", "api /status/ write=on;")
    sticky = f"{LEARN} sticky_policy failback={failback};"
    with Limpet(config, a=servers[0].port, b=servers[1].port, first="", sticky=sticky) as limpet:
        def change(**what):
            path = f"/status/upstreams/app/peers/127.0.0.1:{servers[0].port}"
            assert get(limpet.port, path, method="PATCH", body=json.dumps(what).encode(),
                       headers=[("Content-Type", "application/json")]).status == 200

        session = session_at(limpet, "a")
        change(down=True)
        assert get(limpet.port, cookies={"id": session}).text == "b"
        change(drain=True)
        change(down=False)
        seen = set()
        wait_until(lambda: seen.add(get(limpet.port, cookies={"id": session}).text) or limpet.log_lines("is drained"), "the drain")
        assert seen == {"b"}


def test_a_server_without_sessions_is_drained_at_once(servers):
    with start(servers, sticky="") as limpet:
        drain(limpet)
        drained(limpet)
        assert {get(limpet.port).text for _ in range(6)} == {"b"}


def tunnel_to(limpet, origin):
    """A WebSocket that has come to that origin."""
    for _ in range(20):
        connection = Connection(limpet.port)
        before = origin.hits
        assert upgrade(connection).status == 101
        if origin.hits > before:
            return connection
        connection.close()
    raise AssertionError("no WebSocket came to the server")


def test_an_open_connection_holds_the_drain_up(servers):
    with start(servers, sticky="") as limpet:
        with tunnel_to(limpet, servers[0]) as connection:
            limpet.values["first"] = "drain"
            limpet.write(CONFIG)
            limpet.kill(signal.SIGHUP)  # the old worker stays for the connection
            limpet.wait_log("start worker processes", 2)
            wait_until(lambda: state(limpet) == "draining", "the drain")
            connection.send(frame(TEXT, b"still there"))
            assert masked_echo(connection) == b"still there"
            assert not limpet.log_lines("is drained")
        drained(limpet)


def masked_echo(connection):
    """The origin sends a client's frame back as it came."""
    return read_frame(connection.stream)[1]


def test_a_deadline_ends_what_does_not_end_by_itself(servers):
    with start(servers, sticky=LEARN.replace("timeout=4s", "timeout=1h")) as limpet:
        session = session_at(limpet, "a")
        drain(limpet, "drain=4s")
        assert get(limpet.port, cookies={"id": session}).text == "a"
        line, = drained(limpet)
        assert "its time is over (1 sessions were left)" in line
        assert get(limpet.port, cookies={"id": session}).text == "b"


def test_the_deadline_does_not_begin_anew_with_a_reload(servers):
    with start(servers, sticky=LEARN.replace("timeout=4s", "timeout=1h")) as limpet:
        session_at(limpet, "a")
        drain(limpet, "drain=2s")
        for _ in range(3):
            limpet.reload()
        drained(limpet)


def test_cookies_are_out_of_sight_only_a_deadline_ends_them(servers):
    with start(servers, sticky="sticky cookie id;") as limpet:
        drain(limpet)
        for _ in range(3):  # longer than the watch needs
            limpet.reload()
        assert state(limpet) == "draining"
        drain(limpet, "drain=1ms")
        drained(limpet)


def test_a_server_that_is_put_back_is_as_before(servers):
    with start(servers) as limpet:
        drain(limpet)
        drained(limpet)
        drain(limpet, "")
        assert state(limpet) == "up"
        wait_until(lambda: get(limpet.port).text == "a", "the server to be used")
        drain(limpet)
        drained(limpet, 2)
