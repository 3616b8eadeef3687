"""What is counted under the names of `status_zone`, and of limits and name servers, in the words of Angie's tree."""
import json
import os
import signal
import socket
import ssl
import threading

import pytest

from certificates import folder_with
from client import Connection, get
from daemon import Limpet
from dns import NameServer
from http2 import Http2, client_context
from origin import Origin, Reply
from ports import free_port
from waiting import wait_until

CONFIG = """
worker_processes 2;
events { }
http {
    limit_req_zone $arg_k zone=requests:1m rate=1r/m;
    limit_conn_zone $arg_k zone=connections:1m;
    resolver 127.0.0.1:{dns} ipv6=off status_zone=names valid=1h;
    resolver_timeout 500ms;
    server {
        listen {port};
        status_zone main;
        location / {
            status_zone root;
            return 200 "hello";
            location /in { return 204; }
            location /off { status_zone off; return 200; }
        }
        location /by/ { status_zone $arg_name zone=names:2; return 200; }
        location /page { error_page 404 =404 /; return 404; }
        location /drop { return 444; }
        location /slow { status_zone slow; proxy_pass http://127.0.0.1:{origin}; }
        location /requests { limit_req zone=requests burst=1 nodelay; try_files /x =200; }
        location /waits { limit_req zone=requests burst=9; try_files /x =200; }
        location /connections { limit_conn connections 1; proxy_pass http://127.0.0.1:{origin}; }
        location /name { set $name $arg_n; proxy_pass http://$name.test:{origin}; }
    }
    server {
        listen {tls} ssl http2;
        status_zone $ssl_server_name zone=tls:2;
        ssl_certificate {certs}/on.test.crt;
        ssl_certificate_key {certs}/on.test.key;
        client_header_timeout 1s;
        location / { return 200; }
    }
    map $remote_addr $whose { 10.0.0.1 inside; default outside; }
    server {
        listen {balanced};
        set_real_ip_from 127.0.0.1;
        real_ip_header X-Client;
        status_zone $whose zone=whose:2;
        return 200 $whose;
    }
    server {
        listen {api};
        location /status/ { api /status/; }
        location /zones/ { api /status/http/server_zones/; }
        location /metrics { prometheus; }
    }
}
"""


class Holding:
    """An origin's answer that waits until it is let go."""

    def __init__(self):
        self.free = threading.Event()
        self.free.set()

    def __call__(self, request):
        self.free.wait(10)
        return Reply(b"done")


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return folder_with(tmp_path_factory, "on.test")


@pytest.fixture
def limpet(certs):
    holding = Holding()
    with Origin("o", respond=holding) as origin, NameServer() as dns:
        with Limpet(CONFIG, origin=origin.port, dns=dns.port, tls=free_port(), api=free_port(),
                    balanced=free_port(), certs=certs) as running:
            running.holding, running.dns, running.tls = holding, dns, running.values["tls"]
            yield running
            holding.free.set()


def ask(limpet, path, prefix="/status/"):
    response = get(limpet.values["api"], prefix + path)
    assert response.status == 200, response.text
    return json.loads(response.text)


def until(limpet, path, wanted):
    """Until the tree has it: what ends a request is counted once its answer has gone out."""
    seen = None

    def equals():
        nonlocal seen
        seen = json.loads(get(limpet.values["api"], "/status/" + path).text)
        return seen == wanted

    try:
        wait_until(equals, f"{path} to be {wanted}")
    except AssertionError as late:
        raise AssertionError(f"{late}, and not {seen}") from None


def test_a_key_is_that_of_the_client_and_decides_nothing_else(limpet):
    for client, whose in (("10.0.0.1", "inside"), ("10.0.0.2", "outside")):
        assert get(limpet.values["balanced"], headers=[("X-Client", client)]).text == whose
        until(limpet, f"http/server_zones/{whose}/requests/total", 1)


def test_requests_of_a_server(limpet):
    received = sent = 0
    for path in ("/", "/in", "/page", "/"):
        with Connection(limpet.port) as connection:
            asked = f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            connection.send(asked)
            received += len(asked)
            sent += len(connection.stream.read())
    until(limpet, "http/server_zones/main", {
        "requests": {"total": 4, "processing": 0, "discarded": 0},
        "responses": {"200": 2, "204": 1, "404": 1},
        "data": {"received": received, "sent": sent}})
    with pytest.raises(ConnectionResetError):
        get(limpet.port, "/drop")
    until(limpet, "http/server_zones/main/requests", {"total": 5, "processing": 0, "discarded": 1})


def test_requests_that_are_refused_count_and_those_that_break_off_are_discarded(limpet):
    with Connection(limpet.port) as connection:
        connection.send("GET / HTTP/1.1\r\n\r\n")
        assert connection.response().status == 400
    with Connection(limpet.port) as connection:
        connection.send("GET /x HTT")
    until(limpet, "http/server_zones/main/requests", {"total": 2, "processing": 0, "discarded": 1})
    assert ask(limpet, "http/server_zones/main/responses") == {"400": 1}


def test_a_location_counts_what_ends_in_it(limpet):
    for path in ("/", "/in", "/off", "/page", "/drop"):
        try:
            get(limpet.port, path)
        except ConnectionResetError:
            assert path == "/drop"
    until(limpet, "http/location_zones/root/responses", {"200": 1, "204": 1, "404": 1})
    assert ask(limpet, "http/location_zones/root/requests") == {"total": 3, "discarded": 0}
    assert set(ask(limpet, "http/location_zones")) == {"root", "names", "slow"}


def test_values_of_a_key_have_counts_of_their_own_until_there_are_enough(limpet):
    for name in ("a", "b"):  # the first come first, whatever workers have them
        get(limpet.port, f"/by/?name={name}")
        until(limpet, f"http/location_zones/{name}/requests/total", 1)
    for name in ("c", "d", "a", "", "x" * 257, "x" * 256):
        get(limpet.port, f"/by/?name={name}")
    until(limpet, "http/server_zones/main/requests/total", 8)
    for name, count in (("names", 3), ("a", 2), ("b", 1)):
        until(limpet, f"http/location_zones/{name}/requests/total", count)
    assert "c" not in ask(limpet, "http/location_zones")
    limpet.wait_log(r'the value of the "\$arg_name" key is more than 256 bytes')


def test_values_are_the_same_for_all_workers_and_generations(limpet):
    def spread(name):
        for _ in range(40):  # both workers have some of them
            get(limpet.port, f"/by/?name={name}")

    spread("a")
    limpet.reload()
    spread("a")
    spread("b")
    until(limpet, "http/location_zones/a/requests/total", 80)
    until(limpet, "http/location_zones/b/requests/total", 40)


def test_what_is_under_way_is_seen_and_not_after_its_worker_has_died(limpet):
    limpet.holding.free.clear()
    with Connection(limpet.port) as connection:
        connection.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        until(limpet, "http/server_zones/main/requests", {"total": 1, "processing": 1, "discarded": 0})
        old = limpet.workers()
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(now := limpet.workers()) == 2 and not set(now) & set(old), "other workers")
        until(limpet, "http/server_zones/main/requests", {"total": 1, "processing": 0, "discarded": 0})


def test_counts_outlive_a_reload_as_long_as_the_zone_is_named(limpet):
    get(limpet.port)
    until(limpet, "http/server_zones/main/requests/total", 1)
    limpet.reload()
    get(limpet.port)
    until(limpet, "http/server_zones/main/requests/total", 2)
    limpet.write(CONFIG.replace("status_zone main", "status_zone other"))
    limpet.reload()
    assert "main" not in ask(limpet, "http/server_zones")
    get(limpet.port)
    until(limpet, "http/server_zones/other/requests/total", 1)


def context(**more):
    made = ssl.create_default_context()
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    for name, value in more.items():
        setattr(made, name, value)
    return made


def greet(limpet, name, with_context, session=None):
    """A request over TLS; the session that may be used again."""
    with socket.create_connection(("127.0.0.1", limpet.tls), timeout=10) as plain:
        with with_context.wrap_socket(plain, server_hostname=name, session=session) as secure:
            secure.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while secure.recv(4096):
                pass
            return secure.session


def test_tls_handshakes(limpet):
    made = context(maximum_version=ssl.TLSVersion.TLSv1_2)
    session = greet(limpet, "a.test", made)
    greet(limpet, "a.test", made, session)
    greet(limpet, "b.test", made)
    greet(limpet, "c.test", made)
    with socket.create_connection(("127.0.0.1", limpet.tls)) as plain:  # nothing, as a port scan does
        plain.shutdown(socket.SHUT_WR)
        assert plain.recv(1) == b""
    with pytest.raises(ssl.SSLError):
        greet(limpet, "b.test", context(minimum_version=ssl.TLSVersion.TLSv1_3,
                                        post_handshake_auth=False, verify_mode=ssl.CERT_REQUIRED))

    def handshakes(name, *counts):
        words = ("handshaked", "reuses", "timedout", "failed")
        until(limpet, f"http/server_zones/{name}/ssl", dict(zip(words, counts)))

    handshakes("a.test", 2, 1, 0, 0)
    handshakes("b.test", 1, 0, 0, 1)
    handshakes("tls", 1, 0, 0, 0)
    until(limpet, "http/server_zones/tls/requests/total", 1)
    assert "ssl" not in ask(limpet, "http/server_zones/main")


def test_a_tls_handshake_that_takes_too_long(limpet):
    hello = ssl.MemoryBIO()
    started = context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="a.test")
    with pytest.raises(ssl.SSLWantReadError):
        started.do_handshake()
    with socket.create_connection(("127.0.0.1", limpet.tls), timeout=10) as plain:
        plain.sendall(hello.read())
        until(limpet, "http/server_zones/a.test/ssl",
              {"handshaked": 0, "reuses": 0, "timedout": 1, "failed": 0})


def test_streams_of_http2(limpet):
    with Http2(limpet.tls, tls=client_context(), sni="a.test") as client:
        assert [client.get("/").status for _ in range(2)] == [200, 200]
    until(limpet, "http/server_zones/a.test/responses", {"200": 2})
    assert ask(limpet, "http/server_zones/a.test/requests") == {"total": 2, "processing": 0, "discarded": 0}


def test_verdicts_of_limits(limpet):
    assert [get(limpet.port, f"/requests?k={k}").status for k in ("1", "1", "1", "")] == [200, 200, 503, 200]
    with Connection(limpet.port) as waits:
        waits.send("GET /waits?k=1 HTTP/1.1\r\nHost: a\r\n\r\n")
        until(limpet, "http/limit_reqs", {
            "requests": {"passed": 2, "skipped": 1, "delayed": 1, "rejected": 1, "exhausted": 0}})
    limpet.holding.free.clear()
    with Connection(limpet.port) as one:
        one.send("GET /connections?k=1 HTTP/1.1\r\nHost: a\r\n\r\n")
        until(limpet, "http/limit_conns/connections/passed", 1)
        assert get(limpet.port, "/connections?k=1").status == 503
        limpet.holding.free.set()
        assert get(limpet.port, "/connections").status == 200
    assert ask(limpet, "http/limit_conns") == {
        "connections": {"passed": 1, "skipped": 1, "rejected": 1, "exhausted": 0}}


def test_questions_to_name_servers(limpet):
    limpet.dns.set(good=["127.0.0.1"])
    for name, status in (("good", 200), ("none", 502)):
        assert get(limpet.port, f"/name?n={name}").status == status
    limpet.dns.zone.silent = True
    assert get(limpet.port, "/name?n=late").status == 502
    counted = ask(limpet, "resolvers/names")
    assert counted["queries"] == {"name": 3, "srv": 0, "addr": 0}
    assert counted["sent"] == {"a": 3, "aaaa": 0, "srv": 0, "ptr": 0}
    answers = {name: count for name, count in counted["responses"].items() if count}
    assert answers == {"success": 1, "not_found": 1, "timedout": 1}


def test_the_tree_shows_what_it_is_asked_for(limpet):
    assert list(ask(limpet, "http")) == ["server_zones", "location_zones", "limit_conns", "limit_reqs", "upstreams"]
    assert set(ask(limpet, "", prefix="/zones/")) == {"main", "tls", "whose"}
    assert ask(limpet, "main/requests/total", prefix="/zones/") == 0
    for path in ("http/server_zones/none", "http/none", "resolvers/none", "http/server_zones/main/ssl"):
        assert get(limpet.values["api"], "/status/" + path).status == 404


def test_a_value_may_be_any_bytes_or_the_name_of_another_zone(limpet):
    with Connection(limpet.port) as connection:
        connection.send(b'GET /by/?name=\xff"\\ HTTP/1.1\r\nHost: a\r\n\r\n')
        assert connection.response().status == 200
    get(limpet.port, "/by/?name=root")
    get(limpet.port)
    until(limpet, "http/location_zones/root/requests/total", 2)
    page = get(limpet.values["api"], "/metrics").text.splitlines()
    assert 'limpet_location_zone_requests_total{zone="\ufffd\\"\\\\"} 1' in page
    assert 'limpet_location_zone_requests_total{zone="root"} 2' in page
    assert 'limpet_location_zone_requests_total{zone="names"} 0' in page


def test_metrics_have_the_same_counts(limpet):
    get(limpet.port, "/requests?k=1")
    until(limpet, "http/server_zones/main/requests/total", 1)
    page = get(limpet.values["api"], "/metrics").text
    for line in ('limpet_server_zone_requests_total{zone="main"} 1',
                 'limpet_server_zone_responses_total{zone="main",code="200"} 1',
                 'limpet_server_zone_processing{zone="main"} 0',
                 'limpet_server_zone_handshakes_total{zone="tls",result="failed"} 0',
                 'limpet_location_zone_requests_total{zone="root"} 0',
                 'limpet_limit_req_requests_total{zone="requests",result="passed"} 1',
                 'limpet_limit_conn_requests_total{zone="connections",result="rejected"} 0',
                 'limpet_resolver_responses_total{zone="names",result="success"} 0'):
        assert line in page.splitlines(), line
