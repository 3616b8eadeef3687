"""A server is taken out: its sessions live from then on where they are served, and are its own again if it comes back before that."""
import json
import signal

import pytest

from client import Connection, get
from daemon import Limpet
from dns import NameServer
from origin import Origin, Reply
from ports import free_port
from waiting import wait_until

CONFIG = """
events {{ }}
http {{
    resolver {{resolver}} valid=1s ipv6=off;
    upstream app {{
        zone app 256k;
        {servers}
        {method}
        sticky learn create=$upstream_cookie_s lookup=$cookie_s zone=one:{size} timeout=1h;
        {strict}
    }}
    server {{
        listen {{port}};
        location / {{ proxy_pass http://app; add_header Status $sticky_status; }}
        location /status/ {{ api /status/; }}
    }}
}}
"""
SESSIONS = [f"s{number}" for number in range(12)]


def config(*servers, method="", size="1m", strict=""):
    return CONFIG.format(servers=" ".join(f"server {server};" for server in servers), method=method, size=size, strict=strict)


def respond(request, name):
    """/login?ID opens a session; nothing else does."""
    path, _, query = request.target.partition("?")
    return Reply(name.encode(), headers=[("Set-Cookie", f"s={query}")] if path == "/login" else [])


@pytest.fixture
def ports(origins):
    made = {}
    for name in "abc":
        (origin,) = origins(name, respond=lambda request, name=name: respond(request, name))
        made[name] = origin.port
    return made | {"resolver": "127.0.0.1"}


def login(limpet):
    return {session: get(limpet.port, f"/login?{session}").text for session in SESSIONS}


def visit(limpet, session):
    answer = get(limpet.port, cookies={"s": session})
    return answer.text, answer.header("status")


A, B, C = (f"127.0.0.1:{{{name}}}" for name in "abc")


@pytest.mark.parametrize("method", ["", "least_conn;"])
def test_sessions_of_a_server_that_was_taken_out_are_bound_anew(ports, method):
    with Limpet(config(A, B, method=method), workers=2, **ports) as limpet:
        homes = login(limpet)
        assert set(homes.values()) == {"a", "b"}
        limpet.reload(config(A, C, method=method))
        for session, home in homes.items():
            first = visit(limpet, session)
            assert first[1] == ("hit" if home == "a" else "miss")
            if home == "a":
                assert first[0] == "a"
            assert {visit(limpet, session) for _ in range(6)} == {(first[0], "hit")}
        assert json.loads(get(limpet.port, "/status/sessions/one").text)["active"] == len(SESSIONS)


def test_what_has_not_been_served_elsewhere_is_its_own_again(ports):
    with Limpet(config(A, B), workers=2, **ports) as limpet:
        homes = login(limpet)
        limpet.reload(config(A, C))
        moved = next(session for session, home in homes.items() if home == "b")
        homes[moved] = visit(limpet, moved)[0]
        limpet.reload(config(A, B, C))
        assert {session: visit(limpet, session) for session in SESSIONS} == {s: (home, "hit") for s, home in homes.items()}


@pytest.mark.parametrize("way", ["reload", "restart", "another size"])
def test_nothing_of_that_is_lost_by(way, ports):
    with Limpet(config(A, B), workers=2, **ports) as limpet:
        homes = login(limpet)
        limpet.reload(config(A, C))
        if way == "reload":
            limpet.reload()
        elif way == "restart":
            limpet.end()
            limpet.start()
        else:
            limpet.reload(config(A, C, size="2m"))
        session = next(session for session, home in homes.items() if home == "b")
        first, status = visit(limpet, session)
        assert status == "miss"
        assert {visit(limpet, session) for _ in range(6)} == {(first, "hit")}


@pytest.mark.parametrize("size", ["1m", "2m"])
def test_a_session_that_begins_there_meanwhile_lives_where_it_is_served(ports, origins, gate, size):
    def begin(request):
        gate(request)
        return Reply(b"b", headers=[("Set-Cookie", "s=late")])

    (b,) = origins("b", respond=begin)
    with Limpet(config(B), workers=2, **ports | {"b": b.port}) as limpet, Connection(limpet.port) as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert gate.waiting.acquire(timeout=20)
        old = set(limpet.workers())
        limpet.write(config(A, C, size=size))
        limpet.kill(signal.SIGHUP)
        wait_until(lambda: len(set(limpet.workers()) - old) == 2, "new workers")
        limpet.wait_log("gracefully shutting down", count=2)
        gate.opened.set()
        assert client.response().text == "b"
        first, status = visit(limpet, "late")
        assert status == "miss"
        assert {visit(limpet, "late") for _ in range(6)} == {(first, "hit")}


def test_strict_sessions_have_no_other_server(ports):
    with Limpet(config(A, B, strict="sticky_strict on;"), workers=2, **ports) as limpet:
        homes = login(limpet)
        limpet.reload(config(A, C, strict="sticky_strict on;"))
        for session, home in homes.items():
            answer = get(limpet.port, cookies={"s": session})
            assert answer.status == (200 if home == "a" else 502)
        assert get(limpet.port).status == 200, "who has no session is served"
        limpet.reload(config(A, B, strict="sticky_strict on;"))
        assert {session: visit(limpet, session)[0] for session in SESSIONS} == homes


def test_an_address_that_its_name_gives_no_more(ports):
    port = free_port()
    pods = [Origin(f"pod{n}", port=port, address=f"127.0.1.{n}", respond=lambda request, n=n: respond(request, f"pod{n}"))
            for n in (1, 2, 3)]
    with NameServer() as dns:
        dns.set(web=["127.0.1.1", "127.0.1.2"])
        ports["resolver"] = f"127.0.0.1:{dns.port}"
        with Limpet(config(f"web.test:{port} resolve"), workers=2, **ports) as limpet:
            wait_until(lambda: {get(limpet.port).text for _ in range(8)} == {"pod1", "pod2"}, "both addresses")
            homes = login(limpet)
            dns.set(web=["127.0.1.1", "127.0.1.3"])
            wait_until(lambda: {get(limpet.port).text for _ in range(40)} == {"pod1", "pod3"}, "the other addresses")
            for session, home in homes.items():
                first = visit(limpet, session)[0]
                assert first == home or home == "pod2"
                assert {visit(limpet, session) for _ in range(6)} == {(first, "hit")}
    for pod in pods:
        pod.stop()
