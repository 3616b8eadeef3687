"""Where a client comes from: realip from headers and PROXY protocol, whom it is believed, and who may come in."""
import signal
import socket
import struct

import pytest

from client import Connection, Stream, get
from daemon import Limpet, alive, cpu_seconds
from ports import free_port
from waiting import PATIENCE, wait_until

CONFIG = """
events { }
http {
    log_format seen '$remote_addr';
    geo $arg_ip $network { default none; 10.0.0.0/8 ten; 2001:db8::/32 six; }
    server {
        listen {port};
        location / { try_files /none @show; }
        location /last { set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For; try_files /none @show; }
        location /chain {
            set_real_ip_from 127.0.0.0/8;
            set_real_ip_from 10.0.0.0/8;
            set_real_ip_from 2001:db8::/32;
            real_ip_header X-Forwarded-For;
            real_ip_recursive on;
            try_files /none @show;
        }
        location /own { set_real_ip_from 127.0.0.1; real_ip_header X-Who; try_files /none @show; }
        location /nobody { set_real_ip_from 192.0.2.1; real_ip_header X-Who; try_files /none @show; }
        location /door { set_real_ip_from 127.0.0.1; real_ip_header X-Who; allow 192.0.2.0/24; deny all; try_files /none @show; }
        location /geo { return 200 $network; }
        location @show { return 200 "$remote_addr:$remote_port $realip_remote_addr $proxy_add_x_forwarded_for"; }
    }
    server {
        listen {proxied} proxy_protocol;
        listen unix:{dir}/proxied proxy_protocol;
        set_real_ip_from 127.0.0.1;
        set_real_ip_from unix:;
        real_ip_header proxy_protocol;
        return 200 "$remote_addr:$remote_port $proxy_protocol_addr:$proxy_protocol_port $proxy_protocol_server_addr:$proxy_protocol_server_port [$proxy_protocol_tlv_alpn]";
    }
}
"""


@pytest.fixture(scope="module")
def limpet():
    with Limpet(CONFIG, workers=1, proxied=free_port()) as running:
        yield running


HEADERS = {
    ("/last", "192.0.2.1"): "192.0.2.1:",
    ("/last", "192.0.2.1:99"): "192.0.2.1:99",
    ("/last", "192.0.2.1, 192.0.2.2"): "192.0.2.2:",
    ("/last", "0192.000.02.001"): "192.0.2.1:",
    ("/last", "2001:db8::1"): "2001:db8::1:",
    ("/last", "[2001:db8::1]:7"): "2001:db8::1:7",
    ("/chain", "192.0.2.1, 10.0.0.1"): "192.0.2.1:",
    ("/chain", "192.0.2.1, 192.0.2.2, 10.0.0.1"): "192.0.2.2:",
    ("/chain", "10.0.0.2, 10.0.0.1"): "10.0.0.2:",
    ("/chain", "192.0.2.9, 2001:db8::2"): "192.0.2.9:",
}


@pytest.mark.parametrize("path, value", HEADERS)
def test_x_forwarded_for(limpet, path, value):
    remote, connected, _ = get(limpet.port, path, [("X-Forwarded-For", value)]).text.split(" ", 2)
    assert (remote, connected) == (HEADERS[path, value], "127.0.0.1")


@pytest.mark.parametrize("address, network", [
    ("10.0.0.1", "ten"), ("010.0.0.01", "ten"), ("2001:db8::1", "six"), ("::ffff:10.0.0.1", "ten"),
    ("10.0.0.1:80", "none"), ("[2001:db8::1]", "none"), ("[2001:db8::1]:80", "none"), ("10.0.0", "none")])
def test_geo_takes_bare_addresses(limpet, address, network):
    assert get(limpet.port, f"/geo?ip={address}").text == network


def test_who_is_believed(limpet):
    def remote(path, *headers):
        return get(limpet.port, path, headers).text.split()[0].rpartition(":")[0]

    who = ("X-Who", "192.0.2.7")
    assert remote("/own", who) == "192.0.2.7"
    assert remote("/nobody", who) == "127.0.0.1"
    assert remote("/own", ("X-Who", "junk")) == "127.0.0.1"
    assert remote("/own") == "127.0.0.1"
    assert remote("/door", who) == "192.0.2.7"
    assert get(limpet.port, "/door").status == 403
    forwarded = get(limpet.port, "/", [("X-Forwarded-For", "a"), ("X-Forwarded-For", "b")])
    assert forwarded.text.endswith(" a, b, 127.0.0.1")


def v2(command=1, family=0x11, addresses=b"", tlvs=b""):
    body = addresses + tlvs
    return b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x20 | command, family]) + struct.pack("!H", len(body)) + body


V4 = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.2") + struct.pack("!HH", 123, 456)
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::1") * 2 + struct.pack("!HH", 123, 456)
PROXIED = {
    "v1": (b"PROXY TCP4 192.0.2.1 192.0.2.2 123 456\r\n", "192.0.2.1:123 192.0.2.1:123 192.0.2.2:456 []"),
    "v1, IPv6": (b"PROXY TCP6 2001:db8::1 2001:db8::2 123 456\r\n",
                 "2001:db8::1:123 2001:db8::1:123 2001:db8::2:456 []"),
    "v2": (v2(addresses=V4), "192.0.2.1:123 192.0.2.1:123 192.0.2.2:456 []"),
    "v2, IPv6": (v2(family=0x21, addresses=V6), "2001:db8::1:123 2001:db8::1:123 2001:db8::1:456 []"),
    "v2 with a TLV": (v2(addresses=V4, tlvs=b"\x01\0\x02h2"), "192.0.2.1:123 192.0.2.1:123 192.0.2.2:456 [h2]"),
}
BROKEN = {
    "nothing": b"",
    "v1 without an end": b"PROXY TCP4 192.0.2.1 192.0.2.2 123 456 " + b"x" * 200 + b"\r\n",
    "v1 with a bad address": b"PROXY TCP4 192.0.2 192.0.2.2 123 456\r\n",
    "v1 with a bad port": b"PROXY TCP4 192.0.2.1 192.0.2.2 123456 456\r\n",
    "v2 of another version": b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0",
    "v2 that is too long": v2(addresses=V4, tlvs=b"\xee\x17\x70" + b"x" * 6000),
}


@pytest.mark.parametrize("name", PROXIED)
def test_proxy_protocol(limpet, name):
    header, text = PROXIED[name]
    with Connection(limpet.values["proxied"]) as connection:
        connection.send(header + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.response().text == text
        assert connection.request("/again").text == text


@pytest.mark.parametrize("name", BROKEN)
def test_broken_proxy_protocol(limpet, name):
    port = limpet.values["proxied"]
    with Connection(port) as connection:
        connection.send(BROKEN[name] + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            assert connection.stream.read() == b""
        except ConnectionResetError:
            pass
    why = {"v2 of another version": "unknown PROXY protocol version: 3",
           "v2 that is too long": "header is too large"}.get(name, 'broken header: "[^"]*"')
    limpet.wait_log(rf"\[error\] .*\*\d+ {why} while reading PROXY protocol, client: 127.0.0.1, server: [0-9.]+:{port}$")


class LocalConnection(Connection):
    """Over a Unix socket."""

    def __init__(self, path):
        connected = socket.socket(socket.AF_UNIX)
        connected.settimeout(PATIENCE)
        connected.connect(path)
        Stream.__init__(self, connected)


def connect(limpet, family):
    return LocalConnection(limpet.path("proxied")) if family == "Unix" else Connection(limpet.values["proxied"])


@pytest.mark.parametrize("name", PROXIED)
@pytest.mark.parametrize("family", ["TCP", "Unix"])
def test_a_proxy_header_in_pieces(limpet, family, name):
    """Its worker waits for the rest; it does not turn round and round over what it has seen."""
    header, text = PROXIED[name]
    with connect(limpet, family) as connection:
        for i, byte in enumerate(header):
            connection.send(bytes([byte]))
            if i == 20:
                worker = limpet.workers()[0]
                before = cpu_seconds(worker)
                connection.socket.settimeout(0.3)
                with pytest.raises(TimeoutError):
                    connection.socket.recv(1)
                connection.socket.settimeout(PATIENCE)
                assert cpu_seconds(worker) - before < 0.1  # of 0.3 if it were busy
        connection.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.response().text == text


@pytest.mark.parametrize("family", ["TCP", "Unix"])
def test_a_proxy_header_that_ends_early(limpet, family):
    """Without a reset, and the log says it."""
    limpet.forgive()
    with connect(limpet, family) as connection:
        connection.send(b"PROXY TCP4 192.")
        connection.socket.shutdown(socket.SHUT_WR)
        assert connection.stream.read() == b""
    limpet.wait_log(r'broken header: "PROXY TCP4 192." while reading PROXY protocol')


@pytest.mark.parametrize("first", [b"", b"PROXY TCP4 192.0.2.1 "], ids=["nothing", "a part"])
def test_a_proxy_header_that_comes_during_a_reload(first):
    """What a worker has accepted it serves, also while it ends."""
    header, text = PROXIED["v1"]
    with Limpet(CONFIG, workers=1, proxied=free_port()) as limpet, connect(limpet, "TCP") as connection:
        connection.send(first)
        with connect(limpet, "TCP") as later:  # accepted behind it
            later.send(header + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert later.response().text == text
        (worker,) = limpet.workers()
        limpet.kill(signal.SIGHUP)
        limpet.wait_log("gracefully shutting down")
        connection.send(header[len(first):] + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.response().text == text
        assert connection.stream.read() == b""
        wait_until(lambda: not alive(worker), "the old worker to end")
