"""What should never happen is told where an operator looks: alerts, metrics, the status."""
import json
import os
import re
import signal

import pytest

from client import get
from daemon import Limpet
from ports import free_port
from waiting import wait_until

CONFIG = """
worker_rlimit_core 0;
worker_watchdog 3s;
events { }
http {
    upstream app { zone app 64k; server 127.0.0.1:{dead} max_fails=1 fail_timeout=1h; server 127.0.0.1:{dead2} max_fails=1 fail_timeout=1h; }
    server {
        listen {port};
        location / { proxy_pass http://app; }
        location /status/ { api /status/; }
        location /metrics { prometheus; }
    }
}
"""


@pytest.fixture
def limpet():
    with Limpet(CONFIG, workers=2, dead=free_port(), dead2=free_port()) as made:
        yield made
        made.forgive()


def alerts(limpet):
    return [(alert["level"], alert["text"]) for alert in json.loads(get(limpet.port, "/status/alerts").text)]


def incidents(limpet):
    return json.loads(get(limpet.port, "/status/").text)["incidents"]


def metric(limpet, name):
    return float(re.search(rf"^{re.escape(name)} (\S+)$", get(limpet.port, "/metrics").text, re.M)[1])


def deaths(limpet):
    return {reason: metric(limpet, f'limpet_worker_deaths_total{{reason="{reason}"}}')
            for reason in ("signal", "watchdog", "exit")}


def test_nothing_has_happened(limpet):
    assert alerts(limpet) == []
    assert deaths(limpet) == {"signal": 0, "watchdog": 0, "exit": 0}
    assert metric(limpet, "limpet_config_last_reload_successful") == 1
    assert metric(limpet, "limpet_config_last_reload_success_timestamp_seconds") > 1.7e9
    assert incidents(limpet)["reload_refused"] is False


def test_a_worker_that_a_signal_ends(limpet):
    victim = limpet.workers()[0]
    os.kill(victim, signal.SIGKILL)
    limpet.wait_log(rf"worker process {victim} exited on signal 9")
    wait_until(lambda: alerts(limpet), "the alert")
    ((level, text),) = alerts(limpet)
    assert level == "alert" and text.startswith(f"worker process {victim} exited on signal 9")
    assert deaths(limpet) == {"signal": 1, "watchdog": 0, "exit": 0}
    assert incidents(limpet)["worker_deaths"]["signal"] == 1


def test_a_worker_that_the_watchdog_ends(limpet):
    victim = limpet.workers()[0]
    os.kill(victim, signal.SIGSTOP)
    limpet.wait_log(rf"worker process {victim} exited on signal 6")
    # on a machine that is very busy another one may stand still, too
    mine = wait_until(lambda: [alert for alert in alerts(limpet) if f"worker process {victim} " in alert[1]], "the alert")
    ((level, text),) = mine
    assert level == "alert" and text.endswith("its event loop stood still")
    assert deaths(limpet)["watchdog"] >= 1 and deaths(limpet)["signal"] == 0


def test_workers_that_are_told_to_end_are_no_loss(limpet):
    limpet.reload()
    os.kill(limpet.workers()[0], signal.SIGTERM)
    wait_until(lambda: len(limpet.log_lines("exited with code 0")) == 3, "the ends")
    assert alerts(limpet) == [] and sum(deaths(limpet).values()) == 0


def test_a_reload_that_is_refused(limpet):
    limpet.write("events { }\nretour 200;")
    limpet.kill(signal.SIGHUP)
    wait_until(lambda: metric(limpet, "limpet_config_last_reload_successful") == 0, "the metric")
    ((level, text),) = alerts(limpet)
    assert level == "error"
    assert text.startswith('the new configuration was refused, the one before goes on: unknown directive "retour"')
    assert incidents(limpet)["reload_refused"] is True
    limpet.reload(CONFIG)
    assert metric(limpet, "limpet_config_last_reload_successful") == 1
    assert alerts(limpet)[0] == ("notice", "a new configuration serves")


def test_an_upstream_without_a_server_that_lives(limpet):
    for _ in range(20):
        assert get(limpet.port).status == 502
    limpet.wait_log("no live upstreams")
    assert alerts(limpet) == [("error", 'no live upstreams in upstream "app"')], "once, not for each request"
    assert metric(limpet, "limpet_no_live_upstreams_total") >= 10
