"""What is known of servers that names have given: checks, what operators have said, sessions; over restarts and new binaries."""
import contextlib
import hashlib
import json
import os
import signal
import threading

import pytest

from client import Connection, get
from dns import NXDOMAIN, SERVFAIL, NameServer
from origin import Reply
from pods import CONFIG, RECORDS, peers, service, start, wait_peers, who
from sessions import opens_sessions
from waiting import wait_until

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


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


@pytest.mark.parametrize("name", ["{address}", "pod{number}.test/{address}"])
def test_a_cookie_with_a_secret_is_known_also_as_earlier_versions_gave_it(dns, pods, name):
    pods(1, 2)
    service(dns, (0, 1, pods.port, 1), (0, 1, pods.port, 2))
    more = 'sticky cookie srv; sticky_secret "salt";'
    with start(dns, pods, "server app.test resolve service=http;", more=more) as limpet:
        wait_peers(limpet, 1, 2)
        for number in (1, 2):
            known = name.format(number=number, address=f"127.0.1.{number}:{pods.port}")
            answers = {get(limpet.port, cookies={"srv": md5(md5(known) + "salt")}).text for _ in range(4)}
            assert answers == {f"pod{number}"}


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
