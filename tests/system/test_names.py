"""Servers found by name while limpet runs: `resolve`, `service=`, name servers that fail, peers that come and go."""
import os
import re
import signal
import threading
import time

import pytest

from client import Connection, get
from daemon import Limpet
from dns import NXDOMAIN, SERVFAIL, SRV, NameServer
from origin import Reply
from pods import CONFIG, RECORDS, peers, service, start, wait_peers, who
from ports import free_port
from waiting import wait_until


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
