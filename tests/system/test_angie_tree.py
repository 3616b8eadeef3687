"""Angie's tree below `api`: its words, and how they change with time."""
import json

import pytest

from client import get
from daemon import Limpet
from origin import Origin
from waiting import wait_until

CONFIG = """
events { }
http {
    upstream app {
        zone app 256k;
        server 127.0.0.1:{a} fail_timeout=1s;
        server 127.0.0.1:{b} slow_start=1h fail_timeout=1s;
    }
    upstream alone { zone alone 256k; server 127.0.0.1:{a}; }
    server {
        listen {port};
        location /alone/ { proxy_pass http://alone; }
        location / { proxy_pass http://app; proxy_connect_timeout 1s; }
        location /status/ { api /status/; }
        location /tree/ { api /status/angie/; }
        location /page/ { auto_redirect on; dashboard /status/; }
    }
}
"""


@pytest.fixture
def limpet():
    with Origin("a") as a, Origin("b") as b:
        with Limpet(CONFIG, workers=1, a=a.port, b=b.port) as running:
            running.a, running.b = a, b
            yield running


def ask(limpet, path):
    response = get(limpet.port, "/status/" + path)
    assert response.status == 200, response.text
    return json.loads(response.text)


def peer(limpet, origin):
    return ask(limpet, f"http/upstreams/app/peers/127.0.0.1:{origin.port}")


def until_tried_again(limpet, origin):
    """Until requests may be sent there again; nobody has."""
    def takes():
        servers = ask(limpet, "explain?upstream=app")["servers"]
        return next(s for s in servers if s["server"].endswith(f":{origin.port}"))["takes_new"]

    wait_until(takes, "fail_timeout to pass")


def fail(limpet, origin):
    origin.stop()
    wait_until(lambda: get(limpet.port, "/").status and peer(limpet, origin)["health"]["unavailable"] == 1, "a failure")


def test_a_failed_server_is_away_until_a_request_has_succeeded(limpet):
    fail(limpet, limpet.a)
    until_tried_again(limpet, limpet.a)
    away = peer(limpet, limpet.a)
    assert away["state"] == "unavailable"
    assert ask(limpet, "upstreams/app")["peers"][0]["state"] == "unavailable"
    assert away["health"]["downtime"] >= 1000 and away["health"]["downstart"].endswith("Z")
    limpet.a.start()
    back = wait_until(lambda: get(limpet.port, "/").status and (p := peer(limpet, limpet.a))["state"] == "up" and p, "the server")
    assert "downstart" not in back["health"]
    assert back["health"]["downtime"] >= away["health"]["downtime"]
    assert peer(limpet, limpet.a)["health"] == back["health"]


def test_with_one_server_left_to_try_nothing_says_that_none_takes_clients(limpet):
    fail(limpet, limpet.a)
    fail(limpet, limpet.b)
    for origin in (limpet.a, limpet.b):
        until_tried_again(limpet, origin)
    kinds = [problem["kind"] for problem in ask(limpet, "problems")]
    assert kinds == ["server", "server"]


def test_the_only_server_is_asked_and_told_of_when_it_fails(limpet):
    limpet.a.stop()
    assert get(limpet.port, "/alone/").status == 502
    assert ask(limpet, "upstreams/alone")["peers"][0]["state"] == "unavailable"
    assert [problem["kind"] for problem in ask(limpet, "problems")] == ["server"]
    assert ask(limpet, "explain?upstream=alone")["servers"][0]["takes_new"]
    limpet.a.start()
    assert get(limpet.port, "/alone/").status == 200
    assert ask(limpet, "upstreams/alone")["peers"][0]["state"] == "up"


def test_one_that_starts_slowly_is_recovering(limpet):
    fail(limpet, limpet.b)
    until_tried_again(limpet, limpet.b)
    limpet.b.start()
    wait_until(lambda: get(limpet.port, "/").status and peer(limpet, limpet.b)["state"] == "recovering", "its slow start")


def test_the_process_and_its_connections(limpet):
    process = ask(limpet, "angie")
    assert (process["generation"], process["address"]) == (1, "127.0.0.1")
    assert json.loads(get(limpet.port, "/tree/generation").text) == 1
    seconds = ask(limpet, "angie/load_time?date=epoch")
    assert isinstance(seconds, int) and process["load_time"].endswith("Z")
    assert ask(limpet, "connections")["dropped"] == 0
    assert ask(limpet, "connections/accepted") >= 1
    limpet.reload()
    assert ask(limpet, "angie/generation") == 2


def test_a_location_redirects_its_name_without_the_slash(limpet):
    answer = get(limpet.port, "/page")
    assert (answer.status, answer.header("location")) == (301, f"http://localhost:{limpet.port}/page/")
