"""`api … write=on`: what can be changed at run time, and what is refused."""
import concurrent.futures
import json

import pytest

from client import Connection, get
from daemon import Limpet
from origin import Reply
from waiting import wait_until

CONFIG = """
worker_processes 3;
events { }
http {
    keepalive_requests 100000;
    upstream app {
        zone app 256k;
        server 127.0.0.1:{a} route=one;
        server 127.0.0.1:{b} route=two;
        server 127.0.0.1:{c} route=three;
        sticky learn create=$upstream_cookie_id lookup=$cookie_id zone=clients:1m;
    }
    upstream lonely { server 127.0.0.1:{a}; }
    server {
        listen {port};
        location / { proxy_pass http://app; }
        location /lonely/ { proxy_pass http://lonely; }
        location /status/ { api /status/ write=on; }
        location /read/ { api /read/; }
    }
}
"""


@pytest.fixture
def servers(origins):
    made = origins("a", "b", "c")
    for origin in made:
        origin.respond = lambda request, name=origin.name: Reply(
            name.encode(), headers=[("Set-Cookie", f"id={request.target[7:]}")]
            if request.target.startswith("/login?") else [])
    return made


@pytest.fixture
def limpet(servers):
    a, b, c = servers
    with Limpet(CONFIG, a=a.port, b=b.port, c=c.port) as running:
        yield running


def call(limpet, method, path, body=None, status=200, prefix="/status/", headers=(("Content-Type", "application/json"),)):
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    response = get(limpet.port, prefix + path, method=method, headers=headers if data else (), body=data)
    answer = json.loads(response.text)
    assert response.status == status, answer
    assert response.header("content-type") == "application/json"
    if status >= 400:
        assert answer["error"]["status"] == status and answer["error"]["text"]
    return answer


def login(limpet, session):
    return get(limpet.port, f"/login?{session}").text


def visit(limpet, session):
    return get(limpet.port, "/", cookies={"id": session}).text


def sessions_of(limpet):
    return {peer["id"]: peer["sessions"] for peer in call(limpet, "GET", "upstreams/app")["peers"]}


def address(limpet, name):
    return f"127.0.0.1:{limpet.values[name]}"


def settled(limpet, count):
    wait_until(lambda: call(limpet, "GET", "sessions/clients")["active"] == count, f"{count} sessions")


def test_a_draining_server_keeps_its_sessions_and_gets_no_others(limpet):
    homes = {f"s{i}": login(limpet, f"s{i}") for i in range(9)}
    settled(limpet, 9)
    peer = call(limpet, "PATCH", f"upstreams/app/peers/{address(limpet, 'b')}", {"drain": True})
    assert peer["state"] == "draining" and "drain_left_ms" not in peer
    assert {get(limpet.port, "/").text for _ in range(12)} == {"a", "c"}
    assert {session: visit(limpet, session) for session in homes} == homes
    assert call(limpet, "PATCH", "upstreams/app/peers/two", {"drain": False})["state"] == "up"
    assert {get(limpet.port, "/").text for _ in range(12)} == {"a", "b", "c"}


def test_a_drain_may_have_a_deadline(limpet):
    peer = call(limpet, "PATCH", "upstreams/app/peers/two", {"drain": True, "deadline": "10m"})
    assert 590_000 < peer["drain_left_ms"] <= 600_000
    peer = call(limpet, "PATCH", "upstreams/app/peers/two", {"drain": True, "deadline": 1.5})
    assert peer["drain_left_ms"] <= 1500


def test_a_server_can_be_taken_down_and_put_back(limpet):
    assert call(limpet, "PATCH", "upstreams/app/peers/one", {"down": True})["state"] == "down"
    assert "a" not in {get(limpet.port, "/").text for _ in range(9)}
    assert call(limpet, "PATCH", "upstreams/app/peers/one", {"down": False})["state"] == "up"
    assert "a" in {get(limpet.port, "/").text for _ in range(9)}


def test_what_the_configuration_says_no_call_takes_back(servers):
    a, b, c = servers
    config = CONFIG.replace("route=two", "route=two drain=1h").replace("route=three", "route=three down")
    with Limpet(config, a=a.port, b=b.port, c=c.port) as limpet:
        before = call(limpet, "GET", "upstreams/app/peers/two")["drain_left_ms"]
        assert "drain" in call(limpet, "PATCH", "upstreams/app/peers/two", {"drain": False}, status=409)["error"]["text"]
        assert "down" in call(limpet, "PATCH", "upstreams/app/peers/three", {"down": False}, status=409)["error"]["text"]
        assert call(limpet, "GET", "upstreams/app/peers/two")["drain_left_ms"] <= before
        assert call(limpet, "PATCH", "upstreams/app/peers/two", {"down": True})["state"] == "down"
        assert call(limpet, "PATCH", "upstreams/app/peers/two", {"down": False})["state"].startswith("drain")


def test_one_session_is_forgotten(limpet):
    login(limpet, "mine"), login(limpet, "other")
    settled(limpet, 2)
    assert call(limpet, "DELETE", "sessions/clients/mine") == {"forgotten": 1}
    call(limpet, "GET", "sessions/clients/mine", status=404)
    assert call(limpet, "GET", "sessions/clients/other")["zone"] == "clients"
    call(limpet, "DELETE", "sessions/clients?key=other")
    settled(limpet, 0)
    call(limpet, "DELETE", "sessions/clients/mine", status=404)


def test_all_sessions_of_a_server_are_forgotten(limpet):
    for i in range(30):
        login(limpet, f"s{i}")
    settled(limpet, 30)
    before = sessions_of(limpet)
    assert call(limpet, "DELETE", f"sessions/clients?server={address(limpet, 'a')}") == {"forgotten": before["one"]}
    assert sessions_of(limpet) == {**before, "one": 0}


def test_all_sessions_of_a_server_are_moved_to_another(limpet):
    homes = {f"s{i}": login(limpet, f"s{i}") for i in range(30)}
    settled(limpet, 30)
    before = sessions_of(limpet)
    moved = call(limpet, "POST", "sessions/clients", {"move": {"from": "one", "to": address(limpet, "c")}})
    assert moved == {"moved": before["one"]}
    assert sessions_of(limpet) == {"one": 0, "two": before["two"], "three": before["three"] + before["one"]}
    assert {s: visit(limpet, s) for s in homes} == {s: "c" if home == "a" else home for s, home in homes.items()}


def test_requests_are_answered_while_many_sessions_move(limpet):
    with Connection(limpet.port) as filler:
        for i in range(4000):
            filler.request(f"/login?s{i}")
    settled(limpet, 4000)
    before = sessions_of(limpet)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        move = pool.submit(call, limpet, "POST", "sessions/clients", {"move": {"from": "one", "to": "two"}})
        visits = [pool.submit(visit, limpet, f"s{i}") for i in range(100)]
        assert all(v.result() in ("a", "b", "c") for v in visits)
        assert move.result() == {"moved": before["one"]} and before["one"] > 1000
    assert sessions_of(limpet)["two"] == before["one"] + before["two"]


def test_log_levels_of_a_zone_are_set(limpet):
    assert call(limpet, "GET", "sessions/clients")["fill_limits"] == {"minor": 0.75, "major": 0.85, "crit": 0.95}
    login(limpet, "mine")
    settled(limpet, 1)
    zone = call(limpet, "PATCH", "sessions/clients", {"fill_limits": {"minor": "0%", "major": 0.5, "crit": "60"}})
    assert zone["fill_limits"] == {"minor": 0, "major": 0.5, "crit": 0.6}
    limpet.wait_log(r"\[warn\].*\"clients\" reached 0%")
    alert = wait_until(lambda: call(limpet, "GET", "alerts"), "the alert")[0]
    assert alert["level"] == "warn" and 'session zone "clients" reached 0%' in alert["text"]
    limpet.reload()
    assert call(limpet, "GET", "sessions/clients")["fill_limits"]["major"] == 0.85  # as configured


BAD_PEER = [(b"", "JSON object"), (b"{", "JSON object"), (b"[]", "JSON object"), ({}, "neither"), ({"drain": 1}, "true or false"),
            ({"drain": True, "weight": 3}, 'unknown key "weight"'), ({"drain": True, "deadline": "soon"}, "deadline"),
            ({"drain": True, "deadline": -5}, "deadline"), ({"drain": True, "deadline": 1e300}, "deadline"),
            ({"drain": False, "deadline": "1m"}, "goes with"), ({"deadline": "1m"}, "neither"), ({"down": None}, "true or false"),
            (b'{"drain": true', "JSON object"), (b"\xff\xfe", "JSON object")]


@pytest.mark.parametrize("body,why", BAD_PEER)
def test_a_bad_change_of_a_server_changes_nothing(limpet, body, why):
    before = call(limpet, "GET", "upstreams/app/peers/one")["state"]
    assert why in call(limpet, "PATCH", "upstreams/app/peers/one", body, 400)["error"]["text"]
    assert call(limpet, "GET", "upstreams/app/peers/one")["state"] == before


@pytest.mark.parametrize("body", [{}, {"fill_limits": 3}, {"fill_limits": {"minor": "x"}}, {"fill_limits": {"minor": 101}}, {"fill_limits": {"major": 0.1}},
                                  {"fill_limits": {"low": 1}}, {"timeout": "1m"}])
def test_bad_log_levels_change_nothing(limpet, body):
    before = call(limpet, "GET", "sessions/clients")["fill_limits"]
    call(limpet, "PATCH", "sessions/clients", body, 400)
    assert call(limpet, "GET", "sessions/clients")["fill_limits"] == before


@pytest.mark.parametrize("body,status", [({}, 400), ({"move": 1}, 400), ({"move": {"from": "one"}}, 400), ({"move": {"from": "one", "to": 2}}, 400),
                                         ({"move": {"from": "one", "to": "one"}}, 400), ({"move": {"from": "one", "to": "nine"}}, 404),
                                         ({"move": {"from": "one", "to": "two", "now": True}}, 400)])
def test_a_bad_move_moves_nothing(limpet, body, status):
    call(limpet, "POST", "sessions/clients", body, status)


@pytest.mark.parametrize("method,path,status", [
    ("PATCH", "upstreams/other/peers/one", 404), ("PATCH", "upstreams/app/peers/nine", 404),
    ("PATCH", "sessions/other", 404), ("PATCH", "sessions/clients/key", 405), ("PATCH", "upstreams/app", 405), ("POST", "upstreams/app/peers/one", 405),
    ("DELETE", "upstreams/app/peers/one", 405), ("DELETE", "sessions/clients", 400), ("DELETE", "sessions/clients?server=nine", 404),
    ("DELETE", "sessions", 405), ("PUT", "sessions/clients", 405), ("PATCH", "", 405)])
def test_what_is_not_there_cannot_be_changed(limpet, method, path, status):
    call(limpet, method, path, {"drain": True} if method in ("PATCH", "POST", "PUT") else None, status)


def test_an_upstream_without_zone_cannot_be_changed(limpet):
    peer = f"upstreams/lonely/peers/{address(limpet, 'a')}"
    assert "zone" in call(limpet, "PATCH", peer, {"drain": True}, 409)["error"]["text"]


@pytest.mark.parametrize("method,path", [("PATCH", "upstreams/app/peers/one"), ("DELETE", "sessions/clients/mine"), ("POST", "sessions/clients"),
                                         ("DELETE", "sessions/clients?server=one")])
def test_without_write_nothing_changes(limpet, method, path):
    login(limpet, "mine")
    settled(limpet, 1)
    call(limpet, method, path, {"drain": True} if method != "DELETE" else None, 403, prefix="/read/")
    assert call(limpet, "GET", "sessions/clients")["active"] == 1
    assert call(limpet, "GET", "upstreams/app/peers/one")["state"] == "up"


def test_get_changes_nothing_even_with_a_body(limpet):
    login(limpet, "mine")
    settled(limpet, 1)
    call(limpet, "GET", "sessions/clients?server=one", {"fill_limits": {"minor": 0.1}})
    call(limpet, "GET", "upstreams/app/peers/one", {"drain": True})
    assert call(limpet, "GET", "sessions/clients")["active"] == 1
    assert call(limpet, "GET", "upstreams/app/peers/one")["state"] == "up"


def test_bodies_are_bounded_and_typed(limpet):
    path = "upstreams/app/peers/one"
    call(limpet, "PATCH", path, b'{"drain": true' + b" " * 20_000 + b"}", 413)
    call(limpet, "PATCH", path, {"drain": True}, 415, headers=[("Content-Type", "text/plain")])
    call(limpet, "PATCH", path, {"drain": True}, 415, headers=[("X-Other", "1")])
    with Connection(limpet.port) as connection:
        connection.send("PATCH /status/upstreams/app/peers/one HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
        assert connection.response("PATCH").status == 411
    assert call(limpet, "GET", path)["state"] == "up"


NAMED = """
worker_processes 1;
events { }
http {
    upstream app { zone app 256k; server 127.0.0.1:{a}; }
    server { listen {port}; server_name default.example;
             location / { proxy_pass http://app; }
             location /status/ { api /status/; } }
    server { listen {port}; server_name admin.example *.ops.example ~^r\\d+$;
             location /status/ { api /status/ write=on; }
             location /metrics { prometheus; }
             location /page/ { dashboard /status/; } }
}
"""


def refused(limpet, host, method="GET", headers=()):
    body = b'{"drain": true}' if method == "PATCH" else b""
    path = f"/status/upstreams/app/peers/{address(limpet, 'a')}" if body else "/status/upstreams"
    fields = [*headers, *([("Content-Type", "application/json")] if body else [])]
    answer = get(limpet.port, path, host=host, method=method, headers=fields, body=body)
    if answer.status == 200:
        return None
    assert answer.status == 403, answer
    return json.loads(answer.text)["error"]["text"]


def test_only_under_a_name_of_its_own(servers):
    with Limpet(NAMED, a=servers[0].port) as limpet:
        for host in ("127.0.0.1", f"127.0.0.1:{limpet.port}", "[::1]", "localhost", "LOCALHOST:1", "10.0.0.1", "admin.example",
                     "Admin.Example:81", "a.b.ops.example", "r7", "default.example"):
            assert refused(limpet, host) is None, host
        for host in ("evil.example", "admin.example.evil", "ops.example", "127.0.0.1.evil.example", "r7x", "localhost.evil"):
            assert "neither an address nor localhost nor a \"server_name\"" in refused(limpet, host), host
            assert "server_name" in refused(limpet, host, "PATCH"), host
        assert get(limpet.port, "/status/explain?upstream=app", host="evil.example").status == 403
        with Connection(limpet.port) as connection:  # no browser
            connection.send("GET /status/ HTTP/1.0\r\n\r\n")
            assert connection.response().status == 200


def test_the_page_is_read_under_a_name_of_its_own_only(servers):
    path = "/page/"
    ours = NAMED.replace("server_name default.example;", "server_name default.example; location /metrics { prometheus; } "
                         "location /page/ { dashboard /status/; }")
    with Limpet(ours, a=servers[0].port) as limpet:
        for host in ("127.0.0.1", f"localhost:{limpet.port}", "[::1]", "admin.example", "default.example:81"):
            assert get(limpet.port, path, host=host).status == 200, host
        for host in ("evil.example", "admin.example.evil"):
            answer = get(limpet.port, path, host=host)
            assert answer.status == 403 and "server_name" in answer.text and "<title>" not in answer.text, host
            assert get(limpet.port, "/metrics", host=host).status == 200  # scrapers come by any name of the service


def test_no_other_page_changes_anything(servers):
    with Limpet(NAMED, a=servers[0].port) as limpet:
        def patch(**fields):
            return refused(limpet, "admin.example:8081", "PATCH", [(n.replace("_", "-"), v) for n, v in fields.items()])

        assert patch() is None
        assert patch(Origin="https://admin.example:8081", Sec_Fetch_Site="same-origin") is None
        for origin in ("https://admin.example", "http://evil.example", "null", "http://admin.example:8081.evil.example"):
            assert "Origin and Host differ" in patch(Origin=origin), origin
        assert "another site" in patch(Sec_Fetch_Site="cross-site")
        twice = [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")]
        assert "another site" in refused(limpet, "admin.example:8081", "PATCH", twice)
        with Connection(limpet.port) as connection:  # what is asked is in the target; Host is the other page's
            body = '{"drain": true}'
            connection.send(f"PATCH http://admin.example/status/upstreams/app/peers/{address(limpet, 'a')} HTTP/1.1\r\n"
                            f"Host: evil.example\r\nOrigin: http://evil.example\r\nContent-Type: application/json\r\n"
                            f"Content-Length: {len(body)}\r\n\r\n{body}")
            assert connection.response("PATCH").status == 403
        assert refused(limpet, "admin.example", headers=[("Sec-Fetch-Site", "cross-site"), ("Origin", "null")]) is None


@pytest.mark.parametrize("body", [
    b"\xef\xbb\xbf{\"drain\": true}", b"{\"drain\": true}\0", b"{\"drain\": true}\0{}", b"{\"drain\": false, \"drain\": true}",
    b"{\"drain\": true, \"deadline\": " + b"[" * 8000 + b"]" * 8000 + b"}", b"[" * 16000, b"{\"drain\": true} x"])
def test_a_body_that_two_would_read_differently(limpet, body):
    path = f"upstreams/app/peers/{address(limpet, 'a')}"
    call(limpet, "PATCH", path, body, 400)
    assert call(limpet, "GET", path)["state"] == "up"


@pytest.mark.parametrize("deadline", [-1e300, -1e18, 1e18, 1e300, -1, 0, 9223372036854775807, 18446744073709551615])
def test_a_deadline_beyond_all_numbers(limpet, deadline):
    path = f"upstreams/app/peers/{address(limpet, 'a')}"
    call(limpet, "PATCH", path, {"drain": True, "deadline": deadline}, 400)
    assert call(limpet, "GET", path)["state"] == "up"
