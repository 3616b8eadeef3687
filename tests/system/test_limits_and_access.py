"""limit_conn, limit_req, access control, real addresses and access logs, with several workers."""
import base64
import os
import signal
import socket

import pytest

from client import Connection, get
from daemon import Limpet
from gate import Gate
from waiting import PATIENCE, wait_until

LIMITS = """
events { }
http {
    limit_conn_zone $arg_key zone=places:1m;
    limit_req_zone $arg_key zone=rate:1m rate=1r/m;
    server {
        listen {port};
        location /conn { limit_conn places 2; limit_conn_status 429; proxy_pass http://127.0.0.1:{origin}; }
        location /req { limit_req zone=rate burst=1 nodelay; try_files /none @passed; }
        location /probe { limit_conn places 1; try_files /none @passed; }
        location @passed { return 200 $limit_conn_status; }
    }
}
"""


def hold(limpet, gate, count):
    """So many requests under way at the origin."""
    connections = []
    for _ in range(count):
        connection = Connection(limpet.port)
        connection.send(b"GET /conn?key=a HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connections.append(connection)
    for _ in range(count):
        assert gate.waiting.acquire(timeout=10)
    return connections


def test_places_are_counted_over_all_workers(origins):
    gate = Gate()
    (origin,) = origins("gate", respond=gate)
    with Limpet(LIMITS, workers=3, origin=origin.port) as limpet:
        held = hold(limpet, gate, 2)
        assert [get(limpet.port, "/conn?key=a").status for _ in range(6)] == [429] * 6
        limpet.wait_log(r'\[error\].*limiting connections by zone "places"', 6)
        assert get(limpet.port, "/probe?key=b").text == "PASSED"
        gate.opened.set()
        for connection in held:
            assert connection.response().status == 200
        wait_until(lambda: get(limpet.port, "/probe?key=a").status == 200, "the places to be free")


def test_a_client_that_leaves_gives_its_place_back_at_once(origins):
    """Its end is heard before the next client's beginning, also where its request has only just been sent on."""
    gate = Gate()
    (origin,) = origins("gate", respond=gate)
    with Limpet(LIMITS, workers=1, origin=origin.port) as limpet:
        (worker,) = limpet.workers()
        passed = 0
        for _ in range(20):
            os.kill(worker, signal.SIGSTOP)  # it finds connection and request together
            leaver = Connection(limpet.port)
            leaver.send(b"GET /conn?key=a HTTP/1.1\r\nHost: localhost\r\n\r\n")
            os.kill(worker, signal.SIGCONT)
            assert gate.waiting.acquire(timeout=PATIENCE)
            assert get(limpet.port, "/probe?key=a").status == 503
            leaver.close()
            passed += get(limpet.port, "/probe?key=a").status == 200
            wait_until(lambda: get(limpet.port, "/probe?key=a").status == 200, "the place to be free")
        assert passed == 20
        gate.opened.set()


def test_a_killed_worker_leaves_no_place_taken(origins):
    gate = Gate()
    (origin,) = origins("gate", respond=gate)
    with Limpet(LIMITS, workers=2, origin=origin.port) as limpet:
        hold(limpet, gate, 2)
        for worker in limpet.workers():
            os.kill(worker, signal.SIGKILL)
        limpet.wait_log("exited on signal 9", 2)

        def free():
            try:
                return get(limpet.port, "/probe?key=a").status == 200
            except OSError:
                return False

        wait_until(free, "the places to be free")
        gate.opened.set()


def test_rates_are_shared_by_workers_and_survive_a_reload():
    with Limpet(LIMITS, workers=3, origin=1) as limpet:
        assert [get(limpet.port, "/req?key=a").status for _ in range(2)] == [200, 200]
        assert {get(limpet.port, "/req?key=a").status for _ in range(8)} == {503}
        limpet.reload()
        assert {get(limpet.port, "/req?key=a").status for _ in range(8)} == {503}
        assert get(limpet.port, "/req?key=b").status == 200
        limpet.wait_log(r'limiting requests, excess: [\d.]+ by zone "rate"')


def test_a_zone_in_use_keeps_its_key():
    with Limpet(LIMITS, workers=1, origin=1) as limpet:
        limpet.write(LIMITS.replace("limit_req_zone $arg_key", "limit_req_zone $arg_other"))
        limpet.kill(signal.SIGHUP)
        limpet.wait_log(r'\[emerg\].*limit_req "rate" uses the "\$arg_other" key while previously it used the "\$arg_key" key')


ACCESS = """
events { }
http {
    log_format all '$remote_addr "$request" $status $remote_user';
    access_log {dir}/access.log all;
    set_real_ip_from 127.0.0.1;
    server {
        listen {port};
        auth_basic_user_file {dir}/users;
        location /auth { auth_basic inside; return 204; }
        location /deny { deny 192.0.2.0/24; allow all; try_files /none @ok; }
        location /any { satisfy any; allow 192.0.2.1; deny all; auth_basic inside; try_files /none @ok; }
        location /all { satisfy all; allow 192.0.2.1; deny all; auth_basic inside; try_files /none @ok; }
        location @ok { return 200 "$remote_addr $realip_remote_addr $remote_user"; }
    }
}
"""


@pytest.fixture
def guarded():
    with Limpet(ACCESS, workers=2, start=False) as limpet:
        with open(limpet.path("users"), "w") as users:
            users.write("plain:{PLAIN}secret\nodd:{PLAIN}s\napr:$apr1$r31xyzab$othKcUy6Q8aVRLV2fNvld1\n")
        limpet.start()
        yield limpet


def ask(limpet, path, user=None, address=None, padding=None):
    headers = []
    if user:
        encoded = base64.b64encode(user.encode()).decode()
        headers.append(("Authorization", "Basic " + (encoded if padding is None else encoded.rstrip("=") + padding)))
    if address:
        headers.append(("X-Real-IP", address))
    return get(limpet.port, path, headers=headers)


@pytest.mark.parametrize("padding", ["", "=", "==", "===", "=x"])
def test_the_padding_of_credentials_may_be_any(guarded, padding):
    for user in "plain:secret", "odd:s", "apr:secret":
        assert ask(guarded, "/all", user, "192.0.2.1", padding).status == 200
    assert ask(guarded, "/all", "plain:secret", "192.0.2.1", "!").status == 401


def test_rules_and_passwords_join_as_satisfy_says(guarded):
    inside, outside = "192.0.2.1", "198.51.100.7"
    assert ask(guarded, "/deny", address=inside).status == 403
    assert ask(guarded, "/deny", address=outside).text == f"{outside} 127.0.0.1 "
    for user in ("plain:secret", "apr:secret"):
        assert ask(guarded, "/any", user, outside).status == 200
        assert ask(guarded, "/all", user, inside).status == 200
        assert ask(guarded, "/all", user, outside).status == 403
    assert ask(guarded, "/any", address=inside).status == 200
    refused = ask(guarded, "/any", "plain:wrong", outside)
    assert refused.status == 401
    assert refused.header("WWW-Authenticate") == 'Basic realm="inside"'
    assert ask(guarded, "/all", address=inside).status == 401
    guarded.wait_log('user "plain": password mismatch')
    guarded.wait_log("access forbidden by rule")


def test_the_access_log_follows_a_rotation(guarded):
    get(guarded.port, "/deny")
    log = guarded.path("access.log")
    wait_until(lambda: open(log).read() == '127.0.0.1 "GET /deny HTTP/1.1" 200 -\n', "the line")
    os.rename(log, log + ".1")
    guarded.kill(signal.SIGUSR1)
    wait_until(lambda: os.path.exists(log), "the new log")

    def in_new_log():
        ask(guarded, "/deny", "plain:secret", "198.51.100.7")
        return '198.51.100.7 "GET /deny HTTP/1.1" 200 plain\n' in open(log).read()

    wait_until(in_new_log, "lines in the new log")


OWN = """
events { }
http {
    limit_conn_zone $remote_addr zone=places:1m;
    limit_req_zone $remote_addr zone=rate:1m rate=1r/m;
    server {
        listen {port};
        {limit}
        location / { auth_request /auth; mirror /copy; proxy_pass http://127.0.0.1:{origin}; }
        location = /auth { proxy_pass http://127.0.0.1:{origin}/auth; }
        location = /copy { proxy_pass http://127.0.0.1:{origin}/copied; }
    }
}
"""


@pytest.mark.parametrize("limit", ["limit_conn places 1;", "limit_req zone=rate;"])
def test_what_we_ask_ourselves_is_not_limited(origins, limit):
    (origin,) = origins("origin")
    with Limpet(OWN, workers=1, origin=origin.port, limit=limit) as limpet:
        assert get(limpet.port).text == "origin"
        wait_until(lambda: {request.target for request in origin.requests} == {"/", "/auth", "/copied"}, "the copy")


ORDER = """
events { }
http {
    limit_conn_zone $binary_remote_addr zone=places:1m;
    limit_req_zone $binary_remote_addr zone=rate:1m rate=3r/s;
    server {
        listen {port};
        location / { limit_conn places 1; limit_req zone=rate burst=5; try_files /none @passed; }
        location @passed { return 200 "$limit_req_status $limit_conn_status"; }
    }
}
"""


def test_a_request_that_is_delayed_has_no_place_yet():
    with Limpet(ORDER, workers=1) as limpet:
        connections = [Connection(limpet.port) for _ in range(3)]
        for connection in connections:
            connection.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sorted(connection.response().text for connection in connections) == [
            "DELAYED PASSED", "DELAYED PASSED", "PASSED PASSED"]


LOCAL = """
events { }
http {
    limit_req_zone $binary_remote_addr zone=rate:1m rate=1r/m;
    server {
        listen {port};
        listen unix:{dir}/http.sock;
        location / { limit_req zone=rate; try_files /none @passed; }
        location @passed { return 200 $binary_remote_addr; }
    }
}
"""


def test_clients_on_a_unix_socket_are_limited_together():
    with Limpet(LOCAL, workers=1) as limpet:
        answers = []
        for _ in range(2):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(PATIENCE)
                client.connect(limpet.path("http.sock"))
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                answers.append(b"".join(iter(lambda: client.recv(65536), b"")))
        assert answers[0].startswith(b"HTTP/1.1 200") and answers[0].endswith(b"\r\n\r\nunix:")
        assert answers[1].startswith(b"HTTP/1.1 503")
        assert get(limpet.port).status == 200


REFERERS = r"""
events { }
http {
    server {
        listen {port};
        server_name exact.test .dotted.test *.head.test tail.* "~^(?<name>re)(.)\.test$" ~^(a+)+$;
        set $kept "";
        if ($uri ~ ^/(.*)$) { set $kept $1; }
        location / {
            valid_referers server_names;
            if ($invalid_referer) { return 403; }
            return 200 "$kept $1 $name";
        }
    }
}
"""


def test_each_kind_of_server_name_is_a_valid_referer():
    def ask_from(host):
        return get(limpet.port, "/page", [("Referer", f"http://{host}/x")], host="exact.test")

    with Limpet(REFERERS, workers=1) as limpet:
        for host in ("exact.test", "EXACT.test:80", "dotted.test", "x.y.dotted.test", "a.head.test", "tail.org",
                     "tail.a.b", "rea.test", "REA.test:80", "aaa"):
            assert ask_from(host).text == "page page ", host
        for host in ("exact.tes", "xdotted.test", "head.test", "x.tail.org", "re.test", "other"):
            assert ask_from(host).status == 403, host
        assert ask_from("a" * 40 + "b").status == 500
        limpet.wait_log(r"\[alert\].*match limit exceeded")


USERS = """
events { }
http {
    map $arg_users $users { absolute {dir}/conf/users; relative users; climbing ../conf/users; }
    map $arg_users $kind { default us; }
    auth_basic inside;
    server {
        listen {port};
        location / { auth_basic_user_file $users; try_files /none @in; }
        location /braces { auth_basic_user_file ${users}; try_files /none @in; }
        location /later { auth_basic_user_file ${kind}ers; try_files /none @in; }
        location /behind { auth_basic_user_file ../conf/${kind}ers; try_files /none @in; }
        location @in { auth_basic off; return 200 in; }
    }
}
"""


class InConf(Limpet):
    """Its configuration is in a folder below the prefix."""

    def command(self, *more):
        return [word.replace("limpet.conf", "conf/limpet.conf") for word in super().command(*more)]


@pytest.mark.parametrize("path, status", [
    ("/?users=absolute", 200), ("/?users=relative", 200), ("/?users=climbing", 403), ("/braces?users=absolute", 200),
    ("/later", 200), ("/behind", 200)])
def test_a_file_of_users_that_a_variable_names(path, status):
    with InConf(USERS, workers=1, start=False) as limpet:
        os.mkdir(limpet.path("conf"))
        limpet.write(USERS, "conf/limpet.conf")
        limpet.write("user:{PLAIN}secret\n", "conf/users")
        limpet.start()
        assert ask(limpet, path, "user:secret").status == status
