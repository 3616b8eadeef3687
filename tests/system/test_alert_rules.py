"""The rules and the dashboard that are shipped: they use metrics that are there, and promtool finds them good."""
import json
import os
import re
import shutil
import subprocess

import pytest
import yaml

from certificates import TLS_SERVER, folder_with
from client import get
from daemon import Limpet
from ports import free_port
from sessions import opens_sessions
from waiting import wait_until

ROOT = os.path.normpath(os.path.join(os.path.dirname(__file__), "../.."))
CONFIG = """
worker_processes 2;
events { }
http {
    session_store far { server 127.0.0.1:{nobody}; key_file {dir}/key; }
    upstream app {
        zone app 256k;
        server 127.0.0.1:{a} max_fails=0;
        server 127.0.0.1:{b} max_fails=0;
        sticky learn create=$upstream_cookie_s lookup=$cookie_s zone=one:1m{store};
    }
    upstream gone { zone gone 64k; server 127.0.0.1:{gone}; }
    server {
        listen {port};
        location / { proxy_pass http://app; }
        location @check { proxy_pass http://gone; health_check interval=200ms; }
        location /status/ { api /status/ write=on; }
        location = /metrics { prometheus; }
    }
""" + TLS_SERVER + "}\n"
promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is missing")


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return folder_with(tmp_path_factory, "on.test")


@pytest.fixture
def limpet(origins, certs):
    yield from start(origins, certs, store="")


def start(origins, certs, store):
    (a,), (b,) = origins("a", respond=opens_sessions("a")), origins("b", respond=opens_sessions("b"))
    with Limpet(CONFIG, start=False, a=a.port, b=b.port, nobody=free_port(), gone=free_port(), tls=free_port(), certs=certs,
                store=store) as made:
        made.write("0123456789abcdef", "key")
        os.chmod(made.path("key"), 0o600)
        made.start()
        yield made


def samples(limpet):
    page = get(limpet.port, "/metrics").text
    return {name: float(value) for name, value in
            (line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))}


def board():
    with open(os.path.join(ROOT, "packaging/grafana/limpet.json")) as text:
        return json.load(text)


def asked_by_panels():
    return [target["expr"] for panel in board()["panels"] for target in panel.get("targets", [])]


def asked_by_rules():
    with open(os.path.join(ROOT, "packaging/alerts/rules.yml")) as text:
        return [rule["expr"] for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def used_in(texts):
    return set(re.findall(r"\blimpet_\w+", "\n".join(texts)))


def change(limpet, upstream, server, body):
    done = get(limpet.port, f"/status/upstreams/{upstream}/peers/127.0.0.1:{limpet.values[server]}", method="PATCH", body=body,
               headers=[("Content-Type", "application/json")])
    assert done.status == 200


def test_they_ask_for_metrics_that_are_there(origins, certs):
    for limpet in start(origins, certs, store=" store=far"):
        get(limpet.port)
        change(limpet, "app", "a", b'{"drain": true, "deadline": "1h"}')
        there = {name.partition("{")[0] for name in samples(limpet)}
        variables = [variable["definition"] for variable in board()["templating"]["list"] if "definition" in variable]
        notes = [note["expr"] for note in board()["annotations"]["list"]]
        assert len(asked_by_panels()) > 25
        assert used_in(asked_by_panels() + variables + notes) - there == set()
        assert used_in(asked_by_rules()) - there == {"limpet_fill_level"}, "that one is made of the log by mtail"


def test_each_rule_is_shown_at_work_and_not():
    with open(os.path.join(ROOT, "packaging/alerts/rules.yml")) as text:
        alerts = [rule["alert"] for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    with open(os.path.join(ROOT, "packaging/alerts/rules_test.yml")) as text:
        shown = {rule["alertname"] for test in yaml.safe_load(text)["tests"] for rule in test.get("alert_rule_test", [])
                 if rule["exp_alerts"]}
    assert shown == set(alerts) and len(alerts) == len(set(alerts))


def test_panels_are_apart():
    places = set()
    for panel in board()["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & places and at["x"] + at["w"] <= 24, panel["title"]
        places |= cells
    assert len({panel["id"] for panel in board()["panels"]}) == len(board()["panels"])


def test_sessions_that_move_are_hits_that_were_not_used(limpet):
    def zone():
        found = samples(limpet)
        return found['limpet_sessions_hits_total{zone="one"}'], found['limpet_sessions_used_total{zone="one"}']

    session = get(limpet.port).cookie("s")
    for body in (b"", b"x" * 100_000):
        get(limpet.port, cookies={"s": session}, method="POST" if body else "GET", body=body)
    wait_until(lambda: zone() == (2, 2), "two requests at their session's server")
    change(limpet, "app", session[0], b'{"down": true}')
    assert get(limpet.port, cookies={"s": session}).text != session[0]
    wait_until(lambda: zone() == (3, 2), "one that was not")


def test_a_server_that_was_taken_out_is_not_down_for_the_rules(limpet):
    """It may be stopped then, and its checks may fail."""
    def states():
        return {re.search(r'state="(\w+)"', name)[1] for name, value in samples(limpet).items()
                if name.startswith("limpet_peer_state") and 'upstream="gone"' in name and value}

    limpet.wait_log("peer is unhealthy")
    assert states() == {"unhealthy"}
    change(limpet, "gone", "gone", b'{"down": true}')
    assert states() == {"down"}


@promtool
@pytest.mark.parametrize("what", [["check", "rules", "rules.yml"], ["test", "rules", "rules_test.yml"]])
def test_promtool_finds_the_rules_good(what):
    done = subprocess.run(["promtool", *what], cwd=os.path.join(ROOT, "packaging/alerts"), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@promtool
def test_promtool_understands_what_the_dashboard_asks(tmp_path):
    rules = [{"record": f"panel:{i}", "expr": expr.replace("$__rate_interval", "1m")} for i, expr in enumerate(asked_by_panels())]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", str(tmp_path / "rules.yml")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
