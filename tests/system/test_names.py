"""Servers found by name while limpet runs: `resolve`, `service=`, name servers that fail, peers that come and go."""
import contextlib
import hashlib
import json
import os
import re
import signal
import threading
import time

import pytest

from client import Connection, get
from daemon import Limpet
from dns import NXDOMAIN, SERVFAIL, SRV, NameServer
from origin import Origin, Reply
from ports import free_port
from sessions import opens_sessions
from waiting import wait_until

CONFIG = """
events { }
http {
    resolver {resolver};
    resolver_timeout 1s;
    upstream app {
        zone app 256k;
        {servers}
        {more}
    }
    server {
        listen {port};
        keepalive_requests 1000000;
        location / { proxy_pass http://app; proxy_connect_timeout 2s; }
        location /status/ { api /status/; }
    }
}
"""

RECORDS = {"web": ["127.0.1.1", "127.0.1.2"]}


@pytest.fixture
def dns():
    with NameServer() as server:
        yield server


@pytest.fixture
def pods():
    """Makes origins at addresses 127.0.1.N, all on one port: `pods(1, 2)`."""
    port = free_port()
    made = []

    def make(*numbers):
        these = [Origin(f"pod{n}", port=port, address=f"127.0.1.{n}") for n in numbers]
        made.extend(these)
        return these

    make.port = port
    yield make
    for pod in made:
        pod.stop()


def start(dns, pods, servers=None, more="", resolver=None, workers=2, config=CONFIG, **options):
    return Limpet(config, workers=workers, resolver=resolver or f"127.0.0.1:{dns.port} valid=1s ipv6=off", more=more,
                  servers=servers or f"server web.test:{pods.port} resolve;", **options)


def peers(limpet):
    return json.loads(get(limpet.port, "/status/upstreams/app").text)["peers"]


def wait_peers(limpet, *expected):
    """Until every worker has these, by their last number."""
    def as_expected():
        found = [sorted(int(peer["server"].split(":")[0].split(".")[-1]) for peer in peers(limpet)) for _ in range(4)]
        return all(numbers == sorted(expected) for numbers in found)

    wait_until(as_expected, f"peers {expected}")


def who(limpet, requests=8):
    return {get(limpet.port).text for _ in range(requests)}


def test_a_name_gives_peers_and_takes_them(dns, pods):
    pods(1, 2, 3)
    dns.set(**RECORDS)
    with start(dns, pods) as limpet:
        wait_peers(limpet, 1, 2)
        assert who(limpet) == {"pod1", "pod2"}
        dns.set(web=["127.0.1.2", "127.0.1.3"])
        wait_peers(limpet, 2, 3)
        assert who(limpet) == {"pod2", "pod3"}


def test_a_name_that_does_not_exist_has_no_peers_and_other_errors_change_nothing(dns, pods):
    pods(1)
    dns.set(web=["127.0.1.1"])
    with start(dns, pods) as limpet:
        wait_peers(limpet, 1)
        dns.zone.error = SERVFAIL
        limpet.wait_log(r"web.test could not be resolved \(2: Server failure\)", 2)
        assert who(limpet) == {"pod1"}
        dns.zone.error = NXDOMAIN
        wait_peers(limpet)
        limpet.wait_log(r"web.test could not be resolved \(3: Host not found\)")
        assert get(limpet.port).status == 502
        limpet.wait_log("no live upstreams while connecting to upstream")
        dns.zone.error = 0
        wait_peers(limpet, 1)
        assert who(limpet) == {"pod1"}


def test_the_upstreams_own_resolver_is_asked(dns, pods):
    pods(1)
    dns.set(web=["127.0.1.1"])
    nobody = free_port()
    with start(dns, pods, resolver=f"127.0.0.1:{nobody}",
               more=f"resolver 127.0.0.1:{dns.port} valid=1s ipv6=off; resolver_timeout 3s;") as limpet:
        wait_peers(limpet, 1)


def test_ipv6_and_aliases(dns, pods):
    pods(1)
    dns.set(inner=["127.0.1.1", "::1"])
    dns.set_alias("web.test", "middle.test")
    dns.set_alias("middle.test", "inner.test")
    with start(dns, pods, resolver=f"127.0.0.1:{dns.port} valid=1s") as limpet:
        wait_until(lambda: {p["server"] for p in peers(limpet)} == {f"127.0.1.1:{pods.port}", f"[::1]:{pods.port}"},
                   "both addresses")
        assert "pod1" in who(limpet)


def test_a_truncated_answer_is_asked_for_over_tcp(dns, pods):
    pods(1)
    dns.set(web=["127.0.1.1"])
    dns.zone.truncate = True
    with start(dns, pods) as limpet:
        wait_peers(limpet, 1)
        assert {over for *_, over in dns.questions} == {"udp", "tcp"}


def test_a_name_server_that_is_silent_is_stood_in_for(dns, pods):
    pods(1, 2)
    dns.set(web=["127.0.1.1"])
    with NameServer(silent=True) as silent, \
            start(dns, pods, resolver=f"127.0.0.1:{silent.port} 127.0.0.1:{dns.port} valid=1s ipv6=off",
                  more="resolver_timeout 8s;") as limpet:
        wait_peers(limpet, 1)
        dns.set(web=["127.0.1.2"])
        wait_peers(limpet, 2)
        wait_until(silent.asked, "the silent one to be asked")


def test_a_ttl_is_kept_to(dns, pods):
    pods(1)
    dns.set(web=["127.0.1.1"])
    dns.zone.ttl = 3
    with start(dns, pods, resolver=f"127.0.0.1:{dns.port} ipv6=off"):
        wait_until(lambda: dns.asked() == 1, "the first question")
        begin = time.monotonic()
        wait_until(lambda: dns.asked() == 2, "the second question")
        assert time.monotonic() - begin > 2.5


def service(dns, *records):
    """Records (priority, weight, port, pod number)."""
    dns.set_service("_http._tcp.app.test", *((*numbers, f"pod{n}.test") for *numbers, n in records))
    for *_, n in records:
        dns.add(f"pod{n}.test", [f"127.0.1.{n}"])


def test_a_service_gives_ports_weights_and_backups(dns, pods):
    one, two, three = pods(1, 2, 3)
    service(dns, (1, 3, pods.port, 1), (1, 1, pods.port, 2), (5, 9, pods.port, 3))
    with start(dns, pods, "server app.test resolve service=http;", workers=1) as limpet:
        wait_peers(limpet, 1, 2, 3)
        facts = {peer["name"]: (peer["weight"], peer["backup"]) for peer in peers(limpet)}
        assert facts == {"pod1.test": (3, False), "pod2.test": (1, False), "pod3.test": (9, True)}
        for _ in range(20):
            get(limpet.port)
        assert (one.hits, two.hits, three.hits) == (15, 5, 0)
        one.stop()
        two.stop()
        wait_until(lambda: get(limpet.port).text == "pod3", "the backup")


def test_a_service_that_is_a_backup_is_so_with_its_first_priority_alone(dns, pods):
    pods(1, 2, 3)
    service(dns, (1, 1, pods.port, 2), (5, 1, pods.port, 3))
    servers = f"server 127.0.1.1:{pods.port}; server app.test resolve service=http backup;"
    with start(dns, pods, servers, workers=1) as limpet:
        wait_peers(limpet, 1, 2)
        facts = {peer["server"]: peer["backup"] for peer in peers(limpet)}
        assert facts == {f"127.0.1.1:{pods.port}": False, f"127.0.1.2:{pods.port}": True}


def test_the_first_priority_is_that_of_a_target_with_addresses(dns, pods):
    pods(2, 3)
    dns.set_service("_http._tcp.app.test", (1, 1, pods.port, "none.test"), (5, 1, pods.port, "pod2.test"), (6, 1, pods.port, "pod3.test"))
    for n in (2, 3):
        dns.add(f"pod{n}.test", [f"127.0.1.{n}"])
    with start(dns, pods, "server app.test resolve service=http;", workers=1) as limpet:
        wait_peers(limpet, 2, 3)
        assert {peer["name"]: peer["backup"] for peer in peers(limpet)} == {"pod2.test": False, "pod3.test": True}


def test_a_complete_service_name_is_not_completed(dns, pods):
    pods(1)
    dns.add("pod1.test", ["127.0.1.1"])
    dns.set_service("_web._udp.app.test", (0, 0, pods.port, "pod1.test"))
    with start(dns, pods, "server app.test resolve service=_web._udp;") as limpet:
        wait_peers(limpet, 1)
        assert ("_web._udp.app.test", SRV, "udp") in dns.questions


def test_a_target_that_cannot_be_resolved_now_keeps_its_peers(dns, pods):
    pods(1, 2)
    service(dns, (0, 1, pods.port, 1), (0, 1, pods.port, 2))
    with start(dns, pods, "server app.test resolve service=http;") as limpet:
        wait_peers(limpet, 1, 2)
        del dns.zone.records["pod2.test", 1]
        del dns.zone.records["pod2.test", 28]
        wait_peers(limpet, 1)
        limpet.wait_log(r"pod2.test could not be resolved \(3: Host not found\) while resolving service http of app.test")


CHECKED = CONFIG.replace("proxy_connect_timeout 2s; }", "proxy_connect_timeout 2s; {check} }")


def wait_served_by(limpet, *numbers):
    wait_peers(limpet, *numbers)
    wait_until(lambda: who(limpet) == {f"pod{n}" for n in numbers}, f"requests at {numbers}")
    assert {peer["state"] for peer in peers(limpet)} == {"up"}


@pytest.mark.parametrize("check", ["mandatory", "mandatory passes=2"])
def test_who_comes_into_a_used_place_is_served_once_its_mandatory_check_has_passed(dns, pods, check):
    """The place of one that has left is taken by the next: what was found of the former says nothing of it."""
    pods(1, 2, 3, 4)
    dns.set(web=["127.0.1.1", "127.0.1.2"])
    with start(dns, pods, config=CHECKED, check=f"health_check interval=300ms {check};") as limpet:
        wait_served_by(limpet, 1, 2)
        for numbers in ((2, 3), (3, 4), (4, 1), (1, 2)):
            dns.set(web=[f"127.0.1.{n}" for n in numbers])
            wait_served_by(limpet, *numbers)
        for _ in range(2):  # the same ones come back
            dns.zone.error = NXDOMAIN
            wait_peers(limpet)
            dns.zone.error = 0
            wait_served_by(limpet, 1, 2)


class HeldCheck:
    """A pod's answer to its checks: `health`, but once it is held it waits for `go`."""

    def __init__(self, pod):
        self.pod, self.health = pod, Reply(b"fine")
        self.go, self.held = threading.Event(), threading.Event()
        self.holds = False
        pod.respond = self.respond

    def respond(self, request):
        if request.target != "/alive":
            return Reply(self.pod.name.encode())
        if self.holds:
            self.held.set()
            self.go.wait(20)
        return self.health

    @property
    def checks(self):
        return [request for request in self.pod.requests if request.target == "/alive"]


@pytest.mark.parametrize("check, before, after, status",
                         [("mandatory", "200 OK", "503 Busy", 502), ("", "503 Busy", "200 OK", 200)])
def test_a_check_of_the_one_before_says_nothing_of_who_has_come_into_its_place(dns, pods, check, before, after, status):
    first, second = (HeldCheck(pod) for pod in pods(1, 2))
    second.health = Reply(status=after)
    dns.set(web=["127.0.1.1"])
    with start(dns, pods, config=CHECKED, check=f"health_check interval=300ms uri=/alive {check};") as limpet:
        wait_served_by(limpet, 1)
        first.holds = True
        assert first.held.wait(20)
        first.health = Reply(status=before)
        dns.set(web=["127.0.1.2"])
        wait_peers(limpet, 2)
        first.go.set()
        wanted = {get(limpet.port).status for _ in range(5)}
        while not second.checks:
            wanted.add(get(limpet.port).status)
        assert wanted == {status}


@pytest.mark.parametrize("what, state", [({"down": True}, "down"), ({"drain": True}, "drained")])
def test_another_size_of_the_zone_keeps_what_operators_have_said(dns, pods, what, state):
    pods(1, 2)
    dns.set(**RECORDS)
    config = CONFIG.replace("api /status/;", "api /status/ write=on;")
    with start(dns, pods, config=config) as limpet:
        wait_peers(limpet, 1, 2)
        reply = get(limpet.port, f"/status/upstreams/app/peers/127.0.1.1:{pods.port}", method="PATCH",
                    body=json.dumps(what).encode(), headers=[("Content-Type", "application/json")])
        assert reply.status == 200
        wait_until(lambda: peers(limpet)[0]["state"] == state, f"the peer to be {state}")
        limpet.reload(config.replace("zone app 256k", "zone app 512k"))
        assert peers(limpet)[0]["state"] == state
        assert who(limpet) == {"pod2"}


LEARN = "sticky learn create=$upstream_cookie_sid lookup=$cookie_sid zone=s:1m;"


def teach(pod):
    def respond(request):
        login = request.target.startswith("/login?")
        return Reply(pod.name.encode(), headers=[("Set-Cookie", f"sid={request.target[7:]}")] if login else [])

    pod.respond = respond


def visit(limpet, session):
    return get(limpet.port, cookies={"sid": session}).text


def test_sessions_stay_with_peers_that_stay(dns, pods):
    for pod in pods(1, 2, 3, 4):
        teach(pod)
    dns.set(**RECORDS)
    with start(dns, pods, more=LEARN) as limpet:
        wait_peers(limpet, 1, 2)
        home = {f"s{i}": get(limpet.port, f"/login?s{i}").text for i in range(12)}
        wait_until(lambda: sum(peer["sessions"] for peer in peers(limpet)) == 12, "all sessions")
        dns.set(web=["127.0.1.2", "127.0.1.3", "127.0.1.4"])
        wait_peers(limpet, 2, 3, 4)
        for session, pod in home.items():
            if pod == "pod2":
                assert {visit(limpet, session) for _ in range(3)} == {"pod2"}
        stayed = len([pod for pod in home.values() if pod == "pod2"])
        assert stayed == next(p["sessions"] for p in peers(limpet) if "127.0.1.2:" in p["server"])


def test_places_of_servers_that_have_gone_are_free_while_another_name_has_no_address(dns, pods):
    """A small zone has 32 places for servers: a name that does not exist keeps none of those that another had."""
    (last,) = pods(50)
    teach(last)
    dns.set(live=[f"127.0.1.{n}" for n in range(1, 41)])
    with start(dns, pods, f"server live.test:{pods.port} resolve; server dead.test:{pods.port} resolve;",
               more=LEARN.replace("1m", "64k")) as limpet:
        wait_peers(limpet, *range(1, 41))
        limpet.wait_log(r'session zone "s": all its 32 places for servers are taken, sessions at 8 more are not learned')
        dns.set(live=["127.0.1.50"])
        wait_peers(limpet, 50)
        wait_until(lambda: get(limpet.port, "/login?mine").text == "pod50" and peers(limpet)[0]["sessions"] == 1, "the session")


def test_a_new_pod_at_an_old_address_inherits_no_session(dns, pods):
    for pod in pods(1, 2):
        teach(pod)
    service(dns, (0, 1, pods.port, 1))
    with start(dns, pods, "server app.test resolve service=http;", more=LEARN) as limpet:
        wait_peers(limpet, 1)
        get(limpet.port, "/login?mine")
        wait_until(lambda: peers(limpet)[0]["sessions"] == 1, "the session")
        dns.set_service("_http._tcp.app.test", (0, 1, pods.port, "fresh.test"))
        dns.add("fresh.test", ["127.0.1.1"])
        wait_until(lambda: peers(limpet)[0]["name"] == "fresh.test", "the new pod")
        assert peers(limpet)[0]["sessions"] == 0


def test_the_cookie_of_a_pod_is_the_hash_of_its_address(dns, pods):
    """As in nginx: who comes from there keeps the clients' servers."""
    pods(1, 2)
    service(dns, (0, 1, pods.port, 1), (0, 1, pods.port, 2))
    with start(dns, pods, "server app.test resolve service=http;", more="sticky cookie srv;") as limpet:
        wait_peers(limpet, 1, 2)
        for number in (1, 2):
            cookie = hashlib.md5(f"127.0.1.{number}:{pods.port}".encode()).hexdigest()
            answer = get(limpet.port, cookies={"srv": cookie})
            assert (answer.text, answer.cookie("srv")) == (f"pod{number}", cookie)


def test_sessions_of_before_a_restart_wait_for_the_first_answer(dns, pods):
    """However often the master sweeps the table meanwhile: no server is gone before its name was asked for."""
    for pod in pods(1, 2):
        teach(pod)
    dns.set(**RECORDS)
    with start(dns, pods, config="state_path {dir}/kept;" + CONFIG,
               more=LEARN.replace("zone=s:1m", "zone=s:1m gc_period=100ms")) as limpet:
        wait_peers(limpet, 1, 2)
        home = {f"s{i}": get(limpet.port, f"/login?s{i}").text for i in range(6)}
        wait_until(lambda: sum(peer["sessions"] for peer in peers(limpet)) == 6, "all sessions")
        assert limpet.end() == 0
        dns.zone.error = SERVFAIL
        before = len(limpet.log_lines("web.test could not be resolved"))
        limpet.start()
        limpet.wait_log("web.test could not be resolved", before + 3)
        dns.zone.error = 0
        wait_peers(limpet, 1, 2)
        for session, pod in home.items():  # in turn they would be right by chance
            assert [visit(limpet, session) for _ in range(3)] == [pod] * 3


def test_a_reload_serves_before_names_are_asked_for(dns, pods):
    pods(1)
    dns.set(web=["127.0.1.1"])
    with start(dns, pods) as limpet:
        wait_peers(limpet, 1)
        dns.zone.error = SERVFAIL
        limpet.reload(CONFIG)
        assert {get(limpet.port).text for _ in range(4)} == {"pod1"}
        assert get(limpet.port).status == 200


def test_another_worker_goes_on_when_the_one_that_resolves_is_killed(dns, pods):
    pods(1, 2)
    dns.set(web=["127.0.1.1"])
    with start(dns, pods, workers=3) as limpet:
        wait_peers(limpet, 1)
        for round_number in range(3):
            for pid in limpet.workers()[:-1]:  # whoever it was, all but one are others now
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda: len(limpet.workers()) == 3, "new workers")
            pod = 2 - round_number % 2
            dns.set(web=[f"127.0.1.{pod}"])
            wait_peers(limpet, pod)


def test_one_worker_asks_for_all(dns, pods):
    pods(1)
    dns.set(web=["127.0.1.1"])
    dns.zone.ttl = 3600
    with start(dns, pods, workers=4, resolver=f"127.0.0.1:{dns.port} ipv6=off") as limpet:
        wait_peers(limpet, 1)
        assert dns.asked() == 1


@pytest.mark.parametrize("srv", [False, True])
def test_no_request_to_a_peer_that_stays_fails_while_others_come_and_go(dns, pods, srv):
    """Under load on kept connections; peer 1 stays, and the others end properly when they have left."""
    for pod in pods(1, 2, 3, 4):
        pod.respond = lambda request, name=pod.name: Reply(name.encode(), delay=0.002)

    def give(*numbers):
        if srv:
            service(dns, *((0, n, pods.port, n) for n in numbers))
        else:
            dns.set(web=[f"127.0.1.{n}" for n in numbers])

    give(1, 2)
    servers = "server app.test resolve service=http;" if srv else None
    with start(dns, pods, servers, workers=3) as limpet:
        wait_peers(limpet, 1, 2)
        stop = threading.Event()
        seen, failed = set(), []

        def load():
            connection = Connection(limpet.port)
            while not stop.is_set():
                try:
                    response = connection.request()
                except OSError as error:
                    return failed.append(error)
                seen.add(response.text)
                if response.status != 200:
                    failed.append(response.status)

        threads = [threading.Thread(target=load) for _ in range(8)]
        for thread in threads:
            thread.start()
        try:
            for numbers in ((1, 3), (1, 4), (1,), (1, 2, 3, 4)):
                give(*numbers)
                wait_peers(limpet, *numbers)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not failed
        assert seen == {"pod1", "pod2", "pod3", "pod4"}


def test_more_peers_than_the_zone_has_places_for(dns, pods):
    pods(1)
    dns.set(web=[f"127.0.1.{n}" for n in range(1, 81)])
    with Limpet(CONFIG.replace("256k", "64k"), resolver=f"127.0.0.1:{dns.port} valid=1s ipv6=off", more="",
                servers=f"server web.test:{pods.port} resolve;") as limpet:
        limpet.wait_log(r"cannot add 16 new servers to upstream \"app\", memory exhausted")
        assert len(peers(limpet)) == 64


@pytest.mark.parametrize("change, message", [
    (("    resolver {resolver};\n", ""), r'no resolver defined to resolve names at run time in upstream "app" in .*limpet.conf:5'),
    (("zone app 256k;", ""),
     r'resolving names at run time requires upstream "app" in .*limpet.conf:6 to be in shared memory'),
    (("resolve;", "service=http;"), r'service upstream "web.test:80" requires "resolve" parameter in .*limpet.conf:8'),
    (("resolve;", "resolve service=http;"), r'service upstream "web.test:80" may not have port in .*limpet.conf:8'),
])
def test_what_does_not_fit_together_is_refused(change, message):
    text = CONFIG.replace("{servers}", "server web.test:80 resolve;").replace("{more}", "").replace(*change)
    with Limpet(text, start=False, resolver="127.0.0.1:53") as limpet:
        checked = limpet.run("-t")
        assert checked.returncode == 1
        assert re.search(message, checked.stderr), checked.stderr


class SlowFor(NameServer):
    """Answers for one name when it is let go."""

    def __init__(self, name):
        self.slow = name
        self.asked_for_it, self.go = threading.Event(), threading.Event()
        super().__init__()

    def _answer(self, question, over):
        if self.slow.encode() in question:
            self.asked_for_it.set()
            self.go.wait(20)
        return super()._answer(question, over)

    def hold(self):
        self.asked_for_it.clear()
        self.go.clear()

    def answers_meanwhile(self, port, heads):
        """The answers to requests that come when the name has been asked for and not been answered."""
        assert self.asked_for_it.wait(20)
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(Connection(port)) for _ in heads]
            for client, head in zip(clients, heads):
                client.send(f"GET / HTTP/1.1\r\nHost: x\r\n{head}\r\n")
            self.go.set()
            return [client.response() for client in clients]


def test_who_comes_before_the_names_are_answered_waits_and_finds_his_session(pods):
    """A start with sessions of servers that nobody has asked for yet: a request must not be given to others, nor refused."""
    with SlowFor("late") as dns:
        dns.set(web=["127.0.1.1"], late=["127.0.1.2"])
        for pod in pods(1, 2):
            pod.respond = opens_sessions(pod.name)
        servers = f"server web.test:{pods.port} resolve; server late.test:{pods.port} resolve;"
        with start(dns, pods, servers, more=LEARN.replace("sid", "s")) as limpet:
            (first,) = dns.answers_meanwhile(limpet.port, [""])
            assert first.status == 200, "the first request of all"
            wait_until(lambda: len(peers(limpet)) == 2, "both servers")
            sessions = [get(limpet.port).cookie("s") for _ in range(8)]
            assert {session[:4] for session in sessions} == {"pod1", "pod2"}
            limpet.end()
            dns.hold()
            limpet.start()
            answers = dns.answers_meanwhile(limpet.port, [f"Cookie: s={session}\r\n" for session in sessions])
            assert [answer.text for answer in answers] == [session[:4] for session in sessions]


def test_a_new_binary_knows_the_servers_at_once(dns, pods):
    def new_pid():
        with open(limpet.path("limpet.pid")) as text:
            return (pid := int(text.read() or 0)) != limpet.pid and pid

    pods(1, 2)
    dns.set(**RECORDS)
    with start(dns, pods) as limpet:
        wait_until(lambda: len(peers(limpet)) == 2, "the servers")
        dns.zone.silent = True
        limpet.kill(signal.SIGUSR2)
        wait_until(lambda: os.path.exists(limpet.path("limpet.pid.oldbin")) and os.path.exists(limpet.path("limpet.pid")),
                   "the new master")
        new = wait_until(new_pid, "its process id")
        limpet.kill(signal.SIGQUIT)
        limpet.process.wait(20)
        try:
            assert {get(limpet.port).text for _ in range(4)} == {"pod1", "pod2"}
        finally:
            os.kill(new, signal.SIGTERM)
            wait_until(lambda: not os.path.exists(f"/proc/{new}"), "its end")
