"""`api` and `prometheus`: what limpet says about itself."""
import json
import shutil
import subprocess

import pytest

from client import get
from daemon import Limpet
from origin import Reply
from waiting import wait_until

CONFIG = """
worker_processes 4;
events { }
http {
    upstream backend {
        zone backend 256k;
        server 127.0.0.1:{a} route=one weight=3;
        server 127.0.0.1:{b} backup;
        server 127.0.0.1:{b} down;
        sticky learn create=$upstream_cookie_id lookup=$cookie_id zone=clients:1m{more};
    }
    server {
        listen {port};
        location / { proxy_pass http://backend; }
        location /status/ { api /status/; }
        location /other/ { api /status; }
        location /part/ { api /status/http/upstreams/; }
        location = /one { api /status/http/upstreams/backend/zone; }
        location ~ ^/any { api /status/sessions; }
        location = /metrics { prometheus; }
    }
}
"""


@pytest.fixture
def limpet(origins):
    with start(origins) as running:
        yield running


def start(origins, config=CONFIG, more=""):
    def teacher(request):
        learned = request.target.startswith("/login?")
        return Reply(b"", headers=[("Set-Cookie", f"id={request.target[7:]}")] if learned else [])

    a, b = origins("a", "b")
    a.respond = b.respond = teacher
    return Limpet(config, a=a.port, b=b.port, more=more)


def status(limpet, path=""):
    response = get(limpet.port, "/status/" + path)
    assert (response.status, response.header("content-type")) == (200, "application/json")
    return json.loads(response.text)


def login(limpet, session):
    assert get(limpet.port, f"/login?{session}").status == 200


def visit(limpet, session):
    assert get(limpet.port, "/", cookies={"id": session}).status == 200


def zone_until(limpet, expected):
    """What is counted when a response ends may come a moment after it."""
    def as_expected():
        zone = status(limpet, "sessions/clients")
        return zone if expected.items() <= zone.items() else None

    return wait_until(as_expected, f"the zone to show {expected}")


def test_the_root_tells_who_answers(limpet):
    login(limpet, "x")
    first = status(limpet)
    assert first["version"] and first["generation"] == 1
    assert first["pid"] in limpet.workers()
    assert first["connections"]["accepted"] >= 2 and first["connections"]["requests"] >= 2
    assert first["connections"]["active"] >= 1
    limpet.reload()
    assert status(limpet)["generation"] == 2


def test_a_zone_of_one_megabyte_holds_36000_sessions(limpet):
    zone = status(limpet, "sessions")["clients"]
    assert zone["capacity"] >= 36000
    assert (zone["active"], zone["fill"], zone["lookups"], zone["workers"]) == (0, 0, 0, [])


def test_a_learned_session_is_counted(limpet):
    login(limpet, "mine")
    zone = zone_until(limpet, {"active": 1, "created": 1, "hits": 0, "used_total": 0})
    assert zone["fill"] == pytest.approx(1 / zone["capacity"])
    for visits in range(1, 4):
        visit(limpet, "mine")
        zone_until(limpet, {"active": 1, "created": 1, "hits": visits, "used_total": visits})


def test_lookups_are_hits_misses_and_expired(limpet):
    login(limpet, "mine")
    zone_until(limpet, {"active": 1})
    visit(limpet, "mine")
    visit(limpet, "unknown")
    zone = zone_until(limpet, {"hits": 1, "misses": 1})
    assert zone["lookups"] == zone["hits"] + zone["misses"] + zone["expired"] == 2


def test_workers_add_up_to_the_sum(limpet):
    for i in range(40):
        login(limpet, f"session-{i}")
    zone = zone_until(limpet, {"created": 40})
    assert sum(worker["created"] for worker in zone["workers"]) == 40
    assert len({worker["slot"] for worker in zone["workers"]}) == len(zone["workers"])


def test_counters_outlive_a_reload(limpet):
    login(limpet, "mine")
    zone_until(limpet, {"created": 1})
    limpet.reload()
    zone_until(limpet, {"created": 1, "active": 1})


def test_keys_that_are_too_long_and_a_full_zone_are_counted(origins):
    config = CONFIG.replace("clients:1m", "clients:32k")
    with start(origins, config, " cookie_max_size=32 session_rotate=off") as limpet:
        login(limpet, "x" * 33)
        zone_until(limpet, {"too_long": 1, "active": 0})
        for i in range(status(limpet, "sessions/clients")["capacity"] + 10):
            login(limpet, f"filler-{i}")
        zone = wait_until(lambda: (z := status(limpet, "sessions/clients")) and z["refused"] > 0 and z, "refusals")
        assert zone["rotated"] == 0 and 0.9 <= zone["fill"] <= 1


def test_an_upstream_shows_its_peers(limpet):
    for i in range(5):
        login(limpet, f"session-{i}")
    zone_until(limpet, {"active": 5})
    backend = status(limpet, "upstreams/backend")
    assert backend == status(limpet, "upstreams")["backend"]
    assert backend["shared"] is True
    one, off, spare = backend["peers"]
    assert one["server"] == f"127.0.0.1:{limpet.values['a']}"
    assert (one["id"], one["state"], one["weight"], one["backup"]) == ("one", "up", 3, False)
    assert (one["requests"], one["conns"], one["fails"], one["sessions"]) == (5, 0, 0, 5)
    assert (off["state"], off["requests"]) == ("down", 0)
    assert (spare["state"], spare["backup"], spare["sessions"]) == ("up", True, 0)


def test_angies_tree_of_upstreams(limpet):
    for i in range(5):
        login(limpet, f"session-{i}")
    zone_until(limpet, {"active": 5})
    name = f"127.0.0.1:{limpet.values['a']}"
    peer = status(limpet, "http/upstreams/backend/peers")[name]
    assert (peer["server"], peer["sid"], peer["state"], peer["weight"], peer["backup"]) == (name, "one", "up", 3, False)
    assert (peer["selected"]["current"], peer["selected"]["total"]) == (0, 5) and peer["selected"]["last"].endswith("Z")
    assert peer["responses"] == {"200": 5}
    assert (peer["health"]["fails"], peer["health"]["unavailable"]) == (0, 0)
    assert status(limpet, f"http/upstreams/backend/peers/{name}/selected/total") == 5
    assert status(limpet, f"http/upstreams/backend/peers/{name}/") == peer
    assert json.loads(get(limpet.port, "/other/http/upstreams/backend/peers").text)[name] == peer


def test_a_failed_peer_is_unavailable(origins):
    a, _ = made = origins("a", "b")
    with start(lambda *_: made) as limpet:
        a.stop()
        assert get(limpet.port, "/").status == 200  # by the backup
        peer = status(limpet, "upstreams/backend")["peers"][0]
        assert (peer["state"], peer["fails"], peer["unavailable"]) == ("unavailable", 1, 1)


@pytest.mark.parametrize("path", ["/status/nothing", "/status/sessions/other", "/status/upstreams/other",
                                  "/status/sessions/clients/more", "/other/nothing",
                                  "/status/http/upstreams/other"])
def test_what_is_unknown_is_a_404_in_json(limpet, path):
    response = get(limpet.port, path)
    assert (response.status, response.header("content-type")) == (404, "application/json")
    assert json.loads(response.text)["error"]["status"] == 404


def test_a_location_may_show_a_part_of_the_tree_and_no_more(limpet):
    tree = status(limpet, "http/upstreams")
    assert json.loads(get(limpet.port, "/part/").text).keys() == tree.keys()
    assert json.loads(get(limpet.port, "/part/backend/zone").text) == "backend"
    assert json.loads(get(limpet.port, "/one").text) == "backend"
    assert "clients" in json.loads(get(limpet.port, "/any/thing").text)
    for elsewhere in ("/part/sessions", "/part/explain?upstream=backend", "/part/problems"):
        assert get(limpet.port, elsewhere).status in (404, 502), elsewhere


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_can_be_changed(limpet, method):
    response = get(limpet.port, "/status/sessions", method=method, body=b"{}")
    status = 405 if method == "PUT" else 403
    assert (response.status, json.loads(response.text)["error"]["status"]) == (status, status)
    assert response.header("allow") == ("GET, HEAD" if method == "PUT" else None)


def test_head_has_the_length_and_no_body(limpet):
    response = get(limpet.port, "/status/upstreams", method="HEAD")
    assert (response.status, response.body) == (200, b"")
    assert int(response.header("content-length")) == len(get(limpet.port, "/status/upstreams").body)


def metrics(limpet):
    response = get(limpet.port, "/metrics")
    assert (response.status, response.header("content-type")) == (200, "text/plain; version=0.0.4")
    lines = [line for line in response.text.splitlines() if not line.startswith("#")]
    samples = dict(line.rsplit(" ", 1) for line in lines)
    assert len(samples) == len(lines), "a sample is there twice"
    return {name: float(value) for name, value in samples.items()}


def test_prometheus_has_the_same_numbers(limpet):
    login(limpet, "mine")
    visit(limpet, "mine")
    zone = zone_until(limpet, {"used_total": 1})
    samples = metrics(limpet)
    assert samples['limpet_sessions_capacity{zone="clients"}'] == zone["capacity"]
    assert samples['limpet_sessions_used_total{zone="clients"}'] == 1
    assert samples['limpet_sessions_created_total{zone="clients"}'] == 1
    assert samples["limpet_connections_requests_total"] >= 3
    one = f'{{upstream="backend",index="0",server="127.0.0.1:{limpet.values["a"]}",id="one"}}'
    assert (samples["limpet_peer_up" + one], samples["limpet_peer_requests_total" + one]) == (1, 2)
    assert samples["limpet_peer_sessions" + one] == 1
    assert get(limpet.port, "/metrics", method="POST").status == 405


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is missing")
def test_promtool_finds_nothing_to_complain_of(limpet):
    login(limpet, "mine")
    zone_until(limpet, {"created": 1})
    page = get(limpet.port, "/metrics").body
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, timeout=20)
    assert (checked.returncode, checked.stderr, checked.stdout) == (0, b"", b"")


def test_answers_are_counted_by_class_and_byte(origins):
    a, b = origins("a", "b")
    with Limpet(CONFIG, a=a.port, b=b.port, more="") as limpet:
        statuses = ["200 OK", "204 No Content", "302 Found", "404 Not Found", "503 Service Unavailable"]
        for line in statuses:
            a.respond = lambda _, line=line: Reply(b"", status=line)
            get(limpet.port, "/")
        peer = wait_until(lambda: (p := status(limpet, "upstreams/backend")["peers"][0]) and
                          p["responses"]["total"] == 5 and p, "five answers")
        assert peer["responses"] == {"1xx": 0, "2xx": 2, "3xx": 1, "4xx": 1, "5xx": 1, "total": 5}
        assert peer["sent"] > 5 * len("GET / HTTP/1.1") and peer["received"] > 5 * len("HTTP/1.1 200 OK")
        one = f'{{upstream="backend",index="0",server="127.0.0.1:{a.port}",id="one",code="2xx"}}'
        assert metrics(limpet)["limpet_peer_responses_total" + one] == 2


def test_a_connection_that_fails_is_no_answer(origins):
    a, b = origins("a", "b")
    with Limpet(CONFIG, a=a.port, b=b.port, more="") as limpet:
        a.stop()
        assert get(limpet.port, "/").status == 200
        peers = status(limpet, "upstreams/backend")["peers"]
        assert peers[0]["responses"]["total"] == 0 and peers[0]["fails"] == 1


def test_the_root_shows_all_processes(limpet):
    def complete():  # a worker enters itself when it begins, a moment after its fork
        shown = status(limpet)
        return shown if sorted(w["pid"] for w in shown["workers"]) == sorted(limpet.workers()) else None

    root = wait_until(complete, "all workers to be shown")
    assert root["master_pid"] == limpet.pid and root["write"] is False and root["uptime_s"] >= 0
    for field in ("accepted", "requests"):
        assert sum(worker[field] for worker in root["workers"]) == pytest.approx(root["connections"][field], abs=1)


def test_a_session_is_found_by_its_key(limpet):
    login(limpet, "mine")
    zone_until(limpet, {"active": 1})
    session = status(limpet, "sessions/clients/mine")
    assert (session["zone"], session["id"], session["servers"]) == (
        "clients", "one", [f"127.0.0.1:{limpet.values['a']}"])
    assert session["idle_ms"] < 60_000 and session["expires_in_ms"] > 500_000
    assert status(limpet, "sessions/clients?key=mine")["id"] == "one"
    assert status(limpet, "sessions/clients")["lookups"] == 0, "looking at a session is no lookup"


def test_a_key_may_be_anything(limpet):
    login(limpet, "a/b+c%2Bd")  # the cookie's value as it is
    zone_until(limpet, {"active": 1})
    assert status(limpet, "sessions/clients?key=a%2Fb%2Bc%252Bd")["id"] == "one"
    assert status(limpet, "sessions/clients/a/b+c%252Bd")["id"] == "one"


def test_the_oldest_age_and_the_history_are_shown(limpet):
    assert status(limpet, "sessions/clients")["oldest_age_ms"] == 0
    login(limpet, "mine")
    zone_until(limpet, {"active": 1})
    wait_until(lambda: status(limpet, "sessions/clients")["oldest_age_ms"] >= 200, "the session to grow older")
    history = status(limpet, "sessions/clients?history=1")["history"]
    assert history["every_ms"] == 20_000 and all(0 <= share <= 1 for share in history["fill"])
    assert "history" not in status(limpet, "sessions/clients")


def test_a_prefix_that_is_no_path_is_refused(origins):
    a, b = origins("a", "b")
    limpet = Limpet(CONFIG.replace("api /status/;", "api status;"), a=a.port, b=b.port, more="", start=False)
    try:
        result = limpet.run("-t")
        assert result.returncode != 0 and "invalid parameter" in result.stderr
    finally:
        limpet.__exit__(None, None, None)
