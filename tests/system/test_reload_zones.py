"""Reloads and shared memory: one that is refused leaves all as it was, and what older workers use is nobody else's."""
import os
import re
import signal
import threading

import pytest

from client import get
from daemon import Limpet, alive
from dns import NameServer
from gate import Gate
from sessions import opens_sessions
from waiting import PATIENCE, wait_until

CONFIG = """
events { }
http {
    limit_req_zone $binary_remote_addr zone=one:{one} rate=1000r/s;
    limit_conn_zone {key} zone=two:1m;
    upstream app {
        zone app 256k;
        server 127.0.0.1:{a};
        {b}
        sticky learn create=$upstream_cookie_s lookup=$cookie_s zone=clients:{size} timeout={timeout};
    }
    server {
        listen {port};
        limit_req zone=one burst=1000 nodelay;
        limit_conn two 100;
        location / { proxy_pass http://app; }
    }
}
"""


def new_session(limpet, server):
    """A session that has begun at that server."""
    def begin():
        answer = get(limpet.port)
        assert answer.status == 200, answer
        return answer.text == server and re.search("s=(.*)", answer.header("set-cookie"))[1]

    return wait_until(begin, f"a session at {server}")


def stays(limpet, session, server):
    return {get(limpet.port, cookies={"s": session}).text for _ in range(12)} == {server}


@pytest.mark.parametrize("size", ["1m", "2m"])
def test_a_refused_reload_leaves_zones_and_sessions(origins, size):
    (a,), (b,) = origins("a", respond=opens_sessions("a")), origins("b", respond=opens_sessions("b"))
    before = {"one": "1m", "key": "$binary_remote_addr", "b": f"server 127.0.0.1:{b.port};", "size": "1m", "timeout": "1h"}
    refused = {"one": "2m", "key": "$server_name", "b": "", "size": size, "timeout": "1s"}
    with Limpet(CONFIG, workers=2, a=a.port, **before) as limpet:
        session = new_session(limpet, "b")
        limpet.values.update(refused)
        limpet.write(CONFIG)
        limpet.kill(signal.SIGHUP)
        limpet.wait_log("was refused")
        assert stays(limpet, session, "b")
        later = new_session(limpet, "b")
        assert stays(limpet, later, "b")
        for turn, pid in enumerate(limpet.workers()):
            os.kill(pid, signal.SIGKILL)
            limpet.wait_log("exited on signal 9", turn + 1)
            wait_until(lambda: len(limpet.workers()) == 2, "the new worker")
            assert stays(limpet, session, "b") and stays(limpet, later, "b")
        limpet.values.update(before)
        limpet.write(CONFIG)
        zones = limpet.run("zones")
        assert zones.returncode == 0 and "clients" in zones.stdout, zones
        limpet.reload(CONFIG)
        assert stays(limpet, session, "b") and stays(limpet, later, "b")


def test_a_zone_of_a_refused_reload_is_forgotten(origins):
    """What would have been its key is no key that has been used."""
    (a,) = origins("a", respond=opens_sessions("a"))
    with Limpet(CONFIG, workers=1, a=a.port, one="1m", key="$binary_remote_addr", b="", size="1m", timeout="1h") as limpet:
        more = CONFIG.replace("limit_conn_zone {key}", "limit_conn_zone {more} zone=three:1m; limit_conn_zone {key}")
        limpet.values.update(key="$server_name", more="$uri")
        limpet.write(more)
        limpet.kill(signal.SIGHUP)
        limpet.wait_log("was refused")
        limpet.values.update(key="$binary_remote_addr", more="$args")
        limpet.reload(more)
        assert get(limpet.port).text == "a"


UPSTREAMS = """
events { }
http {
    resolver 127.0.0.1:{dns} valid=1s ipv6=off;
    upstream {name} { zone {name} 64k; server 127.0.0.1:{gate}; }
    {found}
    server {
        listen {port};
        location /long { proxy_pass http://{name}; }
        location /generation { return 200 {generation}; }
        location /found { proxy_pass http://{other}; }
    }
}
"""
FOUND = "upstream found { zone found 64k; server web.test:{pod} resolve; }"


def test_an_old_worker_ends_its_requests_at_an_upstream_that_is_gone(origins):
    """Its locks are not the watch's over the names of another one."""
    gate = Gate()
    (held,), (pod,) = origins("held", respond=gate), origins("pod")
    answers = []
    with NameServer() as dns:
        dns.set(web=["127.0.0.1"])
        with Limpet(UPSTREAMS, workers=1, dns=dns.port, gate=held.port, pod=pod.port, name="one", other="one", found="",
                    generation=1) as limpet:
            (old,) = limpet.workers()
            client = threading.Thread(target=lambda: answers.append(get(limpet.port, "/long")))
            client.start()
            assert gate.waiting.acquire(timeout=PATIENCE)
            for generation, more in ((2, {"name": "two", "other": "two"}), (3, {"other": "found", "found": FOUND})):
                limpet.values.update(generation=generation, **more)
                limpet.write(UPSTREAMS.replace("{found}", limpet.values["found"]))
                limpet.kill(signal.SIGHUP)
                wait_until(lambda: get(limpet.port, "/generation").text == str(generation), "the new generation")
            wait_until(lambda: get(limpet.port, "/found").text == "pod", "the name")
            assert alive(old)
            gate.opened.set()
            client.join(PATIENCE)
            assert answers[0].text == "late"
            wait_until(lambda: not alive(old), "the old worker's end")
            limpet.wait_log(rf"worker process {old} exited with code 0")
