"""Metrics of requests, times, queues, limits and what goes wrong."""
import os
import re
import signal
import subprocess
import threading
import time

import pytest

from certificates import TLS_SERVER, folder_with
from client import get
from daemon import Limpet
from origin import Reply
from ports import free_port
from sessions import opens_sessions
from waiting import wait_until

CONFIG = """
worker_processes 2;
events { worker_connections 256; }
http {
    upstream app {
        zone app 256k;
        server 127.0.0.1:{a} max_fails=0;
        server 127.0.0.1:{b} max_fails=0;
        sticky learn create=$upstream_cookie_s lookup=$cookie_s zone=one:1m;
    }
    upstream plain { server 127.0.0.1:{a}; }
    upstream other { zone other 64k; server 127.0.0.1:{a}; sticky cookie srv; }
    upstream full { zone full 64k; server 127.0.0.1:{a} max_conns=1; queue 10 timeout=10s; }
    server {
        listen {port};
        location / { proxy_pass http://app; }
        location /plain { proxy_pass http://plain; }
        location /full { proxy_pass http://full; }
        location /other { proxy_pass http://other; }
        location /any { proxy_pass http://127.0.0.1:$arg_port; }
        location /status/ { api /status/ write=on; }
        location = /metrics { prometheus; }
    }
""" + TLS_SERVER + "}\n"


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return folder_with(tmp_path_factory, "on.test")


@pytest.fixture
def limpet(origins, certs):
    (a,), (b,) = origins("a", respond=opens_sessions("a")), origins("b", respond=opens_sessions("b"))
    with Limpet(CONFIG, a=a.port, b=b.port, tls=free_port(), certs=certs) as made:
        yield made
        made.forgive()


def samples(limpet):
    page = get(limpet.port, "/metrics").text
    found = dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in found.items()}


def sample_until(limpet, name, value):
    return wait_until(lambda: (found := samples(limpet)).get(name) == value and found, f"{name} to be {value}")


def of(status, upstream="app"):
    return f'limpet_requests_total{{upstream="{upstream}",sticky_status="{status}"}}'


def test_requests_are_counted_by_what_became_of_their_session(limpet):
    session = get(limpet.port).cookie("s")
    for _ in range(3):
        assert get(limpet.port, cookies={"s": session}).text == session[0]
    get(limpet.port, cookies={"s": "nobody"})
    found = sample_until(limpet, of("miss"), 1)
    assert (found[of("new")], found[of("hit")], found[of("rebound")]) == (1, 3, 0)
    assert of("none") not in found
    get(limpet.port, "/plain")
    found = sample_until(limpet, of("none", "plain"), 1)
    assert of("hit", "plain") not in found, "an upstream without sticky has one word"


def test_a_session_whose_server_is_away_is_rebound(limpet):
    session = get(limpet.port).cookie("s")
    server = f"127.0.0.1:{limpet.values[session[0]]}"
    done = get(limpet.port, f"/status/upstreams/app/peers/{server}", method="PATCH", body=b'{"down": true}',
               headers=[("Content-Type", "application/json")])
    assert done.status == 200
    get(limpet.port, cookies={"s": session})
    sample_until(limpet, of("rebound"), 1)
    assert samples(limpet)['limpet_upstream_responses_total{upstream="app",code="2xx"}'] == 2


def test_requests_of_addresses_that_variables_name_share_a_place(limpet):
    get(limpet.port, f"/any?port={limpet.values['a']}")
    sample_until(limpet, of("none", "other"), 1)


def test_an_upstream_named_as_what_goes_beyond_is_one_with_it(limpet):
    get(limpet.port, f"/any?port={limpet.values['a']}")
    get(limpet.port, "/other")
    page = get(limpet.port, "/metrics").text
    names = [line.rpartition(" ")[0] for line in page.splitlines() if not line.startswith("#")]
    assert len(names) == len(set(names))
    assert samples(limpet)['limpet_upstream_responses_total{upstream="other",code="2xx"}'] == 2


def test_a_reload_keeps_what_was_counted(limpet):
    get(limpet.port)
    sample_until(limpet, of("new"), 1)
    limpet.reload()
    get(limpet.port)
    sample_until(limpet, of("new"), 2)


def test_times_are_a_histogram(limpet, origins):
    (slow,) = origins("slow")
    slow.respond = lambda request: Reply(b"", delay=0.15)
    get(limpet.port, "/plain")
    get(limpet.port, f"/any?port={slow.port}")
    name = "limpet_upstream_response_time_seconds"
    found = sample_until(limpet, f'{name}_count{{upstream="other"}}', 1)
    assert 0.15 <= found[f'{name}_sum{{upstream="other"}}'] < 5
    assert found[f'{name}_bucket{{upstream="other",le="0.1"}}'] == 0
    assert found[f'{name}_bucket{{upstream="other",le="10"}}'] == 1
    assert found[f'{name}_bucket{{upstream="other",le="+Inf"}}'] == 1
    buckets = [value for key, value in found.items() if key.startswith(name + '_bucket{upstream="plain"')]
    assert buckets == sorted(buckets) and buckets[-1] == 1


def test_a_peer_is_in_one_state(limpet):
    def state_of(server):
        found = [re.search(r'state="(\w+)"', name)[1] for name, value in samples(limpet).items()
                 if name.startswith("limpet_peer_state") and f'server="{server}"' in name and 'upstream="app"' in name and value]
        assert len(found) == 1
        return found[0]

    server = f"127.0.0.1:{limpet.values['a']}"
    assert state_of(server) == "up"
    get(limpet.port, f"/status/upstreams/app/peers/{server}", method="PATCH", body=b'{"drain": true, "deadline": "1h"}',
        headers=[("Content-Type", "application/json")])
    assert state_of(server) == "draining" or state_of(server) == "drained"
    left = [value for name, value in samples(limpet).items() if name.startswith("limpet_peer_drain_left_seconds")]
    assert len(left) == 1 and 3500 < left[0] <= 3600


def test_what_waits_is_shown(limpet, gate, origins):
    (held,) = origins("held")
    with Limpet(CONFIG, a=held.port, b=held.port, tls=free_port(), certs=limpet.values["certs"]) as other:
        held.respond = gate
        clients = [threading.Thread(target=get, args=(other.port, "/full")) for _ in range(3)]
        for client in clients:
            client.start()
        sample_until(other, 'limpet_upstream_queue{upstream="full"}', 2)
        gate.opened.set()
        for client in clients:
            client.join()
        sample_until(other, 'limpet_upstream_queue{upstream="full"}', 0)
        assert samples(other)['limpet_upstream_queue_limit{upstream="full"}'] == 10
        other.forgive()


def test_limits_of_workers_and_the_end_of_certificates(limpet):
    wait_until(lambda: 'limpet_worker_open_files{slot="1"}' in samples(limpet), "both workers")
    found = samples(limpet)
    assert found['limpet_worker_connections_limit{slot="0"}'] == 256
    assert 0 < found['limpet_worker_open_files{slot="0"}'] < found['limpet_worker_open_files_limit{slot="0"}']
    (end,) = [value for name, value in found.items() if name.startswith("limpet_certificate_not_after")]
    text = subprocess.run(["openssl", "x509", "-noout", "-enddate", "-in", f"{limpet.values['certs']}/on.test.crt"],
                          capture_output=True, text=True, check=True).stdout
    wanted = time.mktime(time.strptime(text.strip().partition("=")[2], "%b %d %H:%M:%S %Y %Z")) - time.timezone
    assert end == wanted


def test_refused_reloads_and_deaths_are_counted(limpet):
    assert samples(limpet)["limpet_config_reloads_refused_total"] == 0
    good = open(limpet.path("limpet.conf")).read()
    limpet.write(good.replace("events", "evens"))
    limpet.kill(signal.SIGHUP)
    sample_until(limpet, "limpet_config_reloads_refused_total", 1)
    assert samples(limpet)["limpet_worker_last_death_timestamp_seconds"] == 0
    os.kill(limpet.workers()[0], signal.SIGKILL)
    wait_until(lambda: samples(limpet)["limpet_worker_last_death_timestamp_seconds"] > time.time() - 60, "the death")
