"""Active checks: who probes, what is asked, which answers are good, and what follows from them."""
import json
import os
import signal
import subprocess
import time

import pytest

from binaries import Binaries
from client import get
from daemon import Limpet
from load import Load
from origin import Origin, Reply
from ports import free_port
from sessions import opens_sessions
from waiting import wait_until

CONFIG = """
worker_processes 3;
events { }
http {
    match good { status 200; header X-Ready = yes; body ~ "all (is )?well"; }
    upstream app {
        zone app 64k;
        server 127.0.0.1:{a} {server};
        server 127.0.0.1:{b};
    }
    server {
        listen {port};
        location / {
            proxy_pass http://app;
            proxy_set_header Host probe.example;
            proxy_set_header X-From limpet;
            proxy_set_header X-Client $remote_addr;
            health_check interval=200ms uri=/alive {check};
            {more}
        }
        location /status/ { api /status/; }
        {locations}
    }
}
"""
INTERVAL = 0.2
SICK = Reply(status="503 Busy")


class Patient:
    """How an origin answers its checks; other requests get its name."""

    def __init__(self, origin):
        self.origin = origin
        self.health = Reply(b"fine")
        self.times = []
        self.session = lambda request: Reply(origin.name.encode())
        origin.respond = self.respond

    def open_sessions(self):
        self.session = opens_sessions(self.origin.name)

    def respond(self, request):
        if request.target != "/alive":
            return self.session(request)
        self.times.append(time.monotonic())
        return self.health

    @property
    def checks(self):
        return [request for request in self.origin.requests if request.target == "/alive"]


@pytest.fixture
def patients(origins):
    return [Patient(origin) for origin in origins("a", "b")]


def start(patients, check="", config=CONFIG, **values):
    a, b = (patient.origin.port for patient in patients)
    for name in ("server", "more", "locations"):
        values.setdefault(name, "")
    return Limpet(config, a=a, b=b, check=check, **values)


def answers(limpet, count=20):
    return {get(limpet.port).text for _ in range(count)}


def state(limpet, number):
    return json.loads(get(limpet.port, "/status/upstreams/app").text)["peers"][number]["state"]


def unhealthy(limpet, patient, count=1):
    return limpet.wait_log(rf"\[warn\].*peer is unhealthy.*127.0.0.1:{patient.origin.port} in", count)


def healthy(limpet, patient, count=1):
    return limpet.wait_log(rf"\[notice\].*peer is healthy.*127.0.0.1:{patient.origin.port} in", count)


def test_an_unhealthy_server_gets_nothing_until_it_is_well_again(patients):
    a, _ = patients
    with start(patients, "fails=2 passes=2") as limpet:
        assert answers(limpet) == {"a", "b"}
        a.health = SICK
        line, = unhealthy(limpet, a)
        assert 'while checking status code, health check of peer' in line and 'in upstream "app"' in line
        assert state(limpet, 0) == "unhealthy"
        assert answers(limpet) == {"b"}
        seen = len(a.checks)
        wait_until(lambda: len(a.checks) > seen + 3, "more checks")
        assert len(unhealthy(limpet, a)) == 1  # told once
        a.health = Reply(b"fine")
        assert len(healthy(limpet, a)) == 1
        assert answers(limpet) == {"a", "b"}


def test_a_server_that_refuses_connections_is_unhealthy(patients):
    a, _ = patients
    with start(patients, "fails=2") as limpet:  # the first may have been under way when it went
        a.origin.stop()
        line, = unhealthy(limpet, a)
        assert "while connecting to upstream (111: Connection refused)" in line or "(closed too early)" in line
        a.origin.start()
        healthy(limpet, a)
        assert answers(limpet) == {"a", "b"}


def test_a_server_that_says_nothing_in_time_is_unhealthy(patients):
    a, _ = patients
    with start(patients, more="proxy_read_timeout 300ms;") as limpet:
        a.health = Reply(delay=2)
        line, = unhealthy(limpet, a)
        assert "while reading response header from upstream (110: Connection timed out)" in line


def test_a_server_that_never_stops_sending_is_unhealthy(patients):
    """Chunks of a byte with long extensions: there is always more to read, and never much of a body."""
    a, _ = patients

    def flood():
        yield b"HTTP/1.1 200 OK\r\nX-Ready: yes\r\nTransfer-Encoding: chunked\r\n\r\n"
        for _ in range(4000):
            yield (b"1;" + b"x" * 4000 + b"\r\nx\r\n") * 64

    a.origin.respond = lambda request: Reply(raw=flood(), close=True)
    with start(patients, "match=good", more="proxy_read_timeout 300ms;") as limpet:
        line, = unhealthy(limpet, a)
        assert "while reading upstream (110: Connection timed out)" in line


def test_what_is_asked(patients):
    a, b = patients
    with start(patients):
        wait_until(lambda: a.checks and b.checks, "checks")
        request = a.checks[0]
        assert (request.method, request.target, request.version) == ("GET", "/alive", "HTTP/1.1")
        assert request.headers == [("Host", "probe.example"), ("X-From", "limpet"), ("Connection", "close")]


def test_a_match_block_says_what_is_good(patients):
    a, b = patients
    ready = [("X-Ready", "yes")]
    for patient in patients:
        patient.health = Reply(chunks=[b"all ", b"is well"], headers=ready)
    bad = [(Reply(b"all is well"), "checking header"),
           (Reply(b"all ill", headers=ready), "checking body"),
           (Reply(b"all well", status="204 None", headers=ready), "checking status code")]
    with start(patients, "match=good") as limpet:
        wait_until(lambda: a.checks and b.checks, "checks")
        assert answers(limpet) == {"a", "b"}
        for number, (reply, what) in enumerate(bad, 1):
            a.health = reply
            assert f'while {what}, health check "good" of peer' in unhealthy(limpet, a, number)[-1]
            a.health = Reply(b"all well", headers=ready)
            healthy(limpet, a, number)
        assert not limpet.log_lines(f"unhealthy.*:{b.origin.port}")


def test_one_worker_probes_and_another_takes_over_when_it_is_killed(patients):
    a, _ = patients
    with start(patients) as limpet:
        wait_until(lambda: len(a.times) >= 11, "eleven checks")
        assert a.times[10] - a.times[0] >= 10 * INTERVAL * 0.9  # three probers would need a third of that
        a.health = SICK
        pid = lambda line: int(line.split("] ")[1].split("#")[0])  # noqa: E731
        prober = pid(unhealthy(limpet, a)[0])
        os.kill(prober, signal.SIGKILL)
        killed = time.monotonic()
        before = len(a.times)
        wait_until(lambda: len(a.times) > before + 1, "checks to go on")
        assert a.times[before + 1] > killed
        a.health = Reply(b"fine")
        assert pid(healthy(limpet, a)[0]) != prober
        assert answers(limpet) == {"a", "b"}


def test_another_worker_takes_over_from_one_that_stands_still(patients):
    a, _ = patients
    with start(patients, config="worker_watchdog 3s; worker_rlimit_core 0;" + CONFIG) as limpet:
        a.health = SICK
        prober = int(unhealthy(limpet, a)[0].split("] ")[1].split("#")[0])
        os.kill(prober, signal.SIGSTOP)
        limpet.wait_log(rf"worker process {prober} exited on signal 6")
        a.health = Reply(b"fine")
        healthy(limpet, a)
        limpet.forgive()


def test_a_mandatory_check_comes_before_the_first_request(patients):
    a, b = patients
    a.health, b.health = SICK, Reply(b"fine", delay=2)
    with start(patients, "mandatory") as limpet:
        assert state(limpet, 1) == "checking"
        assert get(limpet.port).status == 502
        healthy(limpet, b)
        assert answers(limpet) == {"b"}
        assert [request.target for request in a.origin.requests if request.target != "/alive"] == []


def test_what_checks_have_found_outlives_a_reload(patients):
    a, b = patients
    with start(patients, "mandatory persistent") as limpet:
        healthy(limpet, a), healthy(limpet, b)
        a.health = SICK
        unhealthy(limpet, a)
        b.health = Reply(b"fine", delay=3)  # no check ends soon after the reload
        limpet.reload()
        assert answers(limpet) == {"b"}
        assert len(unhealthy(limpet, a)) == 1


def test_without_persistent_one_failed_check_after_a_reload_is_enough(patients):
    a, b = patients
    with start(patients, "mandatory fails=5 passes=2") as limpet:
        healthy(limpet, a), healthy(limpet, b)
        for patient in patients:
            patient.health = Reply(b"fine", delay=2)
        limpet.reload()
        assert answers(limpet) == {"a", "b"}  # as before, until a check says something else
        a.health, b.health = SICK, Reply(b"fine")
        failed = len(limpet.log_lines("check failed"))
        unhealthy(limpet, a)
        assert len(limpet.log_lines("check failed")) == failed
        assert answers(limpet) == {"b"}
        healthy(limpet, b, 2)  # and this one has passed again
        a.health = Reply(b"fine")
        healthy(limpet, a, 2)
        assert answers(limpet) == {"a", "b"}


LEARNING = CONFIG.replace("server 127.0.0.1:{b};", """server 127.0.0.1:{b};
        sticky learn create=$upstream_cookie_s lookup=$cookie_s zone=one:1m timeout=1h;""")


def visitors(limpet):
    """Clients with a session at either server; each must be served, and there."""
    found = {}
    while len(found) < 2:
        reply = get(limpet.port)
        found[reply.text] = {"s": reply.cookie("s")}
    a, b = found["a"], found["b"]
    return Load(limpet.port, cookies=[a, b, b, a],
                check=lambda response, cookies: response.status == 200 and response.text == cookies["s"][0])


@pytest.mark.parametrize("check", ["mandatory", "mandatory passes=2", "mandatory persistent"])
def test_a_reload_takes_no_server_out_that_was_in_use(patients, check):
    a, b = patients
    for patient in patients:
        patient.open_sessions()
    b.health = Reply(b"fine", delay=0.3)  # the other one has passed again before this one
    with start(patients, check, config=LEARNING) as limpet:
        healthy(limpet, a), healthy(limpet, b)
        with visitors(limpet) as load:
            load.more(50)
            limpet.reload()
            seen = [len(patient.checks) for patient in patients]
            wait_until(lambda: all(len(p.checks) > n + 2 for p, n in zip(patients, seen)), "checks to go on")
            load.more(50)


def test_a_check_that_becomes_mandatory_takes_no_server_out(patients):
    for patient in patients:
        patient.open_sessions()
    with start(patients, config=LEARNING.replace("health_check", "#")) as limpet:
        for patient in patients:
            patient.health = Reply(b"fine", delay=2)
        with visitors(limpet) as load:
            load.more(50)
            limpet.values["check"] = "mandatory"
            limpet.reload(LEARNING)
            load.more(50)


@pytest.mark.parametrize("check", ["mandatory", "mandatory persistent"])
def test_a_change_of_the_binary_takes_no_server_out_that_was_in_use(patients, check):
    a, b = patients
    for patient in patients:
        patient.open_sessions()
    with Binaries(start(patients, check, config=LEARNING), workers=3) as both:
        healthy(both.limpet, a), healthy(both.limpet, b)
        for patient in patients:
            patient.health = Reply(b"fine", delay=2)  # no check ends soon
        with visitors(both.limpet) as load:
            load.more(50)
            both.upgrade()
            both.rest()
            load.more(100)


def test_a_reload_that_takes_the_check_away_frees_the_server(patients):
    a, _ = patients
    with start(patients) as limpet:
        a.health = SICK
        unhealthy(limpet, a)
        limpet.reload(CONFIG.replace("health_check", "#"))
        wait_until(lambda: answers(limpet) == {"a", "b"}, "the server to be used again")


def test_another_port_and_a_mere_connection(patients):
    a, b = patients
    port = free_port()
    with start(patients, f"type=tcp port={port}") as limpet:
        for patient in patients:
            assert "while connecting to upstream" in unhealthy(limpet, patient)[0]
        assert not a.checks
        with Origin("c", port=port):
            healthy(limpet, a), healthy(limpet, b)
            assert answers(limpet) == {"a", "b"}


def test_of_several_checks_one_that_fails_is_enough(patients):
    a, _ = patients
    other = """location /other { proxy_pass http://app;
        health_check interval=200ms uri=/other type=http match=good; }"""
    with start(patients, locations=other) as limpet:
        for patient in patients:
            unhealthy(limpet, patient)  # /other is answered without X-Ready
        assert state(limpet, 0) == state(limpet, 1) == "unhealthy"
        assert get(limpet.port).status == 502


def test_a_recovered_server_starts_slowly(patients):
    a, _ = patients
    a.health = SICK
    with start(patients, server="slow_start=120s") as limpet:
        unhealthy(limpet, a)
        a.health = Reply(b"fine")
        healthy(limpet, a)
        replies = [get(limpet.port).text for _ in range(60)]
        assert replies.count("a") <= 10


@pytest.fixture
def tls_server(tmp_path):
    """`openssl s_server`, which answers every GET with a page; gives its port and a way to end it."""
    key, cert, port = tmp_path / "key.pem", tmp_path / "cert.pem", free_port()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=app", "-days", "2",
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    command = ["openssl", "s_server", "-quiet", "-www", "-accept", f"127.0.0.1:{port}", "-key", key, "-cert", cert]
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield port, cert, server
    server.kill()
    server.wait()


TLS = """
events { }
http {
    upstream app { zone app 64k; server 127.0.0.1:{tls}; server 127.0.0.1:{plain}; }
    server {
        listen {port};
        location / {
            proxy_pass https://app;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {cert};
            proxy_ssl_name {name};
            proxy_connect_timeout 2s;
            health_check interval=200ms mandatory;
        }
    }
}
"""


def test_checks_speak_tls_as_the_location_does(tls_server, origins):
    plain, = origins("plain")
    port, cert, _ = tls_server
    with Limpet(TLS, tls=port, plain=plain.port, cert=cert, name="app") as limpet:
        limpet.wait_log(rf"peer is healthy while checking status code, health check of peer 127.0.0.1:{port} ")
        limpet.wait_log(rf"peer is unhealthy while connecting to upstream \(110: .*127.0.0.1:{plain.port} ")
        assert {get(limpet.port).status for _ in range(3)} == {200}
    with Limpet(TLS, tls=port, plain=plain.port, cert=cert, name="other") as limpet:
        limpet.wait_log(rf"peer is unhealthy while SSL handshaking to upstream.*127.0.0.1:{port} ")
