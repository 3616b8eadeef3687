"""Addresses of one port: each has servers and options of its own, though one socket accepts for all of them."""
import re
import socket
import struct

import pytest

from client import Connection, get
from daemon import Limpet
from gate import Gate
from waiting import PATIENCE, wait_until

CONFIG = """
events { }
http {
    server { listen {port}; return 200 "any $server_addr"; }
    server { listen {port}; server_name a.example; return 200 "any a"; }
    server { listen 127.0.0.2:{port}; return 200 "two $server_addr"; }
    server { listen 127.0.0.2:{port}; server_name a.example; return 200 "two a"; }
    server { listen 127.0.0.4:{port}; server_name first; return 200 first; }
    server { listen 127.0.0.4:{port}; return 200 nameless; }
    server { listen 127.0.0.4:{port}; return 200 never; }
    server { listen 127.0.0.4:{port}; server_name a.example *.b.example .c.example; return 200 "named"; }
    server { listen 127.0.0.4:{port}; server_name .a.example .b.example c.example; return 200 "other"; }
    server { listen 127.0.0.3:{port} proxy_protocol; return 200 "three $proxy_protocol_addr"; }
}
"""

ANSWERS = [
    ("127.0.0.1", "x", "any 127.0.0.1"),
    ("127.0.0.1", "a.example", "any a"),
    ("127.0.0.2", "x", "two 127.0.0.2"),
    ("127.0.0.2", "a.example", "two a"),
    ("127.0.0.4", "a.example", "named"),
    ("127.0.0.4", "www.a.example", "first"),  # a.example is taken, so .a.example is ignored, all of it
    ("127.0.0.4", "b.example", "first"),
    ("127.0.0.4", "www.b.example", "named"),
    ("127.0.0.4", "www.c.example", "named"),
    ("127.0.0.4", "c.example", "named"),
    ("127.0.0.5", "x", "any 127.0.0.5"),
]


@pytest.fixture(scope="module")
def limpet():
    with Limpet(CONFIG, workers=2) as running:
        yield running


@pytest.mark.parametrize("address, host, text", ANSWERS)
def test_an_address_has_its_own_servers(limpet, address, host, text):
    assert get(limpet.port, address=address, host=host).text == text


def test_a_server_without_a_name_gets_requests_without_a_host(limpet):
    with Connection(limpet.port, "127.0.0.4") as connection:
        connection.send("GET / HTTP/1.0\r\n\r\n")
        assert connection.response().text == "nameless"


def test_an_address_has_its_own_options(limpet):
    with Connection(limpet.port, "127.0.0.3") as connection:
        connection.send("PROXY TCP4 192.0.2.7 127.0.0.3 9 80\r\n")
        assert connection.request().text == "three 192.0.2.7"


LOGGED = """
events { }
http {
    log_format address "$server_addr $server_port $tcpinfo_rtt $status";
    access_log {dir}/addresses.log address;
    server { listen {port}; client_header_timeout 200ms; location / { proxy_pass http://127.0.0.1:{origin}; } }
}
"""


def test_the_address_of_connections_that_broke_off_is_in_the_log(origins):
    gate = Gate()
    (origin,) = origins("gate", respond=gate)
    with Limpet(LOGGED, workers=1, origin=origin.port) as limpet:
        def lines():
            with open(limpet.path("addresses.log")) as log:
                return [re.sub(r" [1-9]\d* (?=\d+$)", " RTT ", line) for line in log.read().splitlines()]

        for reset in (False, True):
            with Connection(limpet.port, "127.0.0.7") as leaver:
                leaver.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                assert gate.waiting.acquire(timeout=PATIENCE)
                if reset:
                    leaver.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with Connection(limpet.port, "127.0.0.8") as silent:
            silent.send("GET / HT")
            wait_until(lambda: len(lines()) == 3, "the log")
        gate.opened.set()
        port = limpet.port
        assert lines() == [f"127.0.0.7 {port} RTT 499"] * 2 + [f"127.0.0.8 {port} RTT 408"]


def test_a_reload_that_names_another_address_is_obeyed(limpet):
    limpet.reload(CONFIG.replace("127.0.0.2:", "127.0.0.6:"))
    assert get(limpet.port, address="127.0.0.6").text == "two 127.0.0.6"
    assert get(limpet.port, address="127.0.0.2").text == "any 127.0.0.2"


def test_multipath_takes_both_kinds_of_clients():
    config = "events { } http { server { listen 127.0.0.1:{port} multipath; location / { return 200 ok; } } }"
    with Limpet(config, workers=1) as limpet:
        assert get(limpet.port).text == "ok"
        assert not limpet.log_lines("alert")
        mptcp = 262
        try:
            client = socket.socket(socket.AF_INET, socket.SOCK_STREAM, mptcp)
        except OSError:
            assert limpet.log_lines(r'\[warn\].*"multipath" of 127.0.0.1:\d+ is ignored')
            return
        with client:
            client.connect(("127.0.0.1", limpet.port))
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert client.makefile("rb").read().endswith(b"ok")
