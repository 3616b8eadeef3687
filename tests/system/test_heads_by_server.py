"""Heads of requests for a server that is not the default one: its rules for fields hold, and what it refuses is in its log."""
import socket

import pytest

from certificates import folder_with
from client import Connection
from daemon import Limpet
from http2 import Http2, client_context
from ports import free_port
from waiting import PATIENCE, wait_until

CONFIG = """
events { }
http {
    log_format line '$http_x_y|$http_host|$status|$request_length|$connection_requests';
    ssl_certificate {certs}/on.test.crt;
    ssl_certificate_key {certs}/on.test.key;
    large_client_header_buffers 4 2k;
    server {
        listen {port};
        listen {tls} ssl;
        http2 on;
        server_name default.test;
        max_headers 20;
        access_log {dir}/default.log line;
        return 200 "default $http_x_y";
    }
    server {
        listen {port};
        listen {tls} ssl;
        http2 on;
        server_name us.test;
        underscores_in_headers on;
        access_log {dir}/us.log line;
        error_page 400 494 =418 /sorry;
        location / { return 200 "us $http_x_y"; }
        location = /sorry { internal; return 200 "sorry of us"; }
    }
    server {
        listen {port};
        listen {tls} ssl;
        http2 on;
        server_name few.test;
        max_headers 3;
        access_log {dir}/few.log line;
        return 200 "few";
    }
}
"""


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return folder_with(tmp_path_factory, "on.test")


@pytest.fixture
def limpet(certs):
    with Limpet(CONFIG, workers=1, certs=certs, tls=free_port()) as started:
        yield started


def lines(limpet, name, count=1):
    def read():
        with open(limpet.path(name)) as log:
            found = log.read().splitlines()
        return found if len(found) >= count else None
    return wait_until(read, f"{count} lines in {name}")


def ask_http1(limpet, head, sni=None):
    """The answer, to its end."""
    with socket.create_connection(("127.0.0.1", limpet.values["tls"] if sni else limpet.port), timeout=PATIENCE) as connection:
        if sni:
            connection = client_context(alpn=()).wrap_socket(connection, server_hostname=sni)
        with connection:
            connection.sendall(head.encode())
            answer = b""
            while more := connection.recv(65536):
                answer += more
            return answer.decode()


END = "Connection: close\r\n\r\n"


@pytest.mark.parametrize("head, sni", [
    ("GET / HTTP/1.1\r\nHost: us.test\r\nx_y: 1\r\n", None), ("GET / HTTP/1.1\r\nx_y: 1\r\nHost: us.test\r\n", None),
    ("GET http://us.test/ HTTP/1.1\r\nHost: us.test\r\nx_y: 1\r\n", None),
    ("GET / HTTP/1.1\r\nHost: us.test\r\nx_y: 1\r\n", "us.test"),
    ("GET / HTTP/1.1\r\nHost: us.test\r\nx_y: 1\r\n", "default.test")])
def test_underscores_are_the_chosen_servers_to_allow(limpet, head, sni):
    assert ask_http1(limpet, head + END, sni).endswith("us 1")
    assert ask_http1(limpet, head.replace("us.test", "default.test") + END).endswith("default ")


@pytest.mark.parametrize("tls", [False, True])
def test_over_http2_too(limpet, tls):
    more = {"tls": client_context(), "sni": "default.test"} if tls else {}
    with Http2(limpet.values["tls"] if tls else limpet.port, **more) as client:
        assert client.get(headers=[("x_y", "1")], authority="us.test").text == "us 1"
        assert client.get(headers=[("x_y", "1")], authority="default.test").text == "default "
        many = [(f"x-{i}", "1") for i in range(8)]
        assert client.get(headers=many, authority="us.test").status == 200
        assert client.get(headers=many, authority="few.test").status == 400


def test_each_server_has_its_number_of_fields(limpet):
    many = "".join(f"X-{i}: 1\r\n" for i in range(8))
    for host, status in (("few.test", 400), ("us.test", 200)):
        assert ask_http1(limpet, f"GET / HTTP/1.1\r\nHost: {host}\r\n{many}{END}").split()[1] == str(status)
    more = "".join(f"X-{i}: 1\r\n" for i in range(30))
    assert ask_http1(limpet, f"GET / HTTP/1.1\r\nHost: us.test\r\n{more}{END}").split()[1] == "200"
    assert ask_http1(limpet, f"GET / HTTP/1.1\r\nHost: default.test\r\n{more}{END}").split()[1] == "400"


@pytest.mark.parametrize("bad", ["bad line\r\n\r\n", "X: " + "x" * 3000 + "\r\n\r\n"], ids=["bad", "long"])
def test_a_head_is_refused_by_the_server_that_it_names(limpet, bad):
    good = "GET / HTTP/1.1\r\nHost: us.test\r\n"
    assert ask_http1(limpet, good + bad).endswith("sorry of us")
    assert lines(limpet, "us.log") == [f"-|us.test|418|{len(good)}|1"]


def test_without_a_host_by_the_one_of_the_handshake(limpet):
    assert ask_http1(limpet, "GET / HTTP/1.1\r\nbad line\r\n\r\n", "us.test").endswith("sorry of us")
    assert ask_http1(limpet, "GET / HTTP/1.1\r\nbad line\r\n\r\n").startswith("HTTP/1.1 400 ")
    assert len(lines(limpet, "default.log")) == 1


def test_a_client_that_goes_within_a_head_is_in_the_log_of_the_server_it_named(limpet):
    with Connection(limpet.port) as client:
        client.socket.sendall(b"GET / HTTP/1.1\r\nHost: us.test\r\nX: ")
    assert lines(limpet, "us.log") == ["-|us.test|400|31|1"]


def test_over_http2_a_head_is_refused_by_the_server_that_it_names(limpet):
    with Http2(limpet.port) as client:
        refused = client.get(headers=[("connection", "close")], authority="us.test")
        assert refused.text == "sorry of us"
    assert lines(limpet, "us.log")[0].startswith("-|us.test|418|")


def test_requests_of_a_connection_are_numbered_as_they_begin(limpet):
    with Http2(limpet.port) as client:
        asked = [client.ask(authority="us.test") for _ in range(3)]
        for stream in asked:
            client.response(stream)
    assert sorted(line.rsplit("|")[-1] for line in lines(limpet, "us.log", 3)) == ["1", "2", "3"]
