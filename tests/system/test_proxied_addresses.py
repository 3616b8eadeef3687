"""The addresses of proxied connections: those that a URL with variables names, and those that connections come from."""
import os
import re
import signal
import subprocess

import pytest

from client import Connection, get
from daemon import Limpet
from ports import free_port
from waiting import wait_until

BY_ARGUMENT = """
events { }
http {
    keepalive_requests 100000;
    server {
        listen {port};
        location / { proxy_pass http://$arg_to; proxy_connect_timeout 1s; }
    }
}
"""

TRANSPARENT = """
events { }
http {
    upstream app { server 127.0.0.1:{app} max_fails=0; }
    server {
        listen {port};
        location / { proxy_pass http://app; proxy_bind 127.7.8.9 transparent; }
        location /foreign { proxy_pass http://app; proxy_bind 198.51.100.7 transparent; proxy_connect_timeout 300ms; }
        location /plain { proxy_pass http://app; }
    }
}
"""

CAP_NET_ADMIN, CAP_NET_RAW = 12, 13


def statuses(port, targets, batch=500):
    connection = Connection(port)
    for begin in range(0, len(targets), batch):
        part = targets[begin:begin + batch]
        connection.send("".join(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n" for target in part))
        yield from (connection.response().status for _ in part)
    connection.close()


def test_addresses_that_clients_name_make_room_for_others(origins):
    """10,000 addresses at which nobody listens, then one at which somebody does; the first ones are asked again, too."""
    origin, = origins("alive")
    nobody = free_port()
    with Limpet(BY_ARGUMENT, workers=1, log_level="crit") as limpet:
        addresses = [f"127.{n >> 8 & 255}.{n & 255}.1:{nobody}" for n in range(1, 10_001)]
        assert set(statuses(limpet.port, [f"/?to={address}" for address in addresses])) == {502}
        for _ in range(2):
            assert get(limpet.port, f"/?to=127.0.0.1:{origin.port}").text == "alive"
        assert get(limpet.port, f"/?to={addresses[0]}").status == 502


def effective(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"CapEff:\t(\w+)", status.read())[1], 16)


def may_be_transparent():
    return os.geteuid() == 0 and effective("self") & (1 << CAP_NET_RAW | 1 << CAP_NET_ADMIN)


def as_somebody(uid=65534):
    def become():
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    return become


@pytest.mark.skipif(not may_be_transparent(), reason="needs CAP_NET_RAW")
def test_workers_keep_what_a_transparent_bind_takes_and_nothing_else(origins):
    origin, = origins("app")
    with Limpet(TRANSPARENT, workers=1, app=origin.port) as limpet:
        worker, = limpet.workers()
        wait_until(lambda: effective(worker) == 1 << CAP_NET_RAW, "a worker that has given up the rest")
        assert get(limpet.port).text == "app"
        # Nobody brings the answer back from a foreign address here, but it is connected from: no error of bind().
        assert get(limpet.port, "/foreign").status in (502, 504)
        assert not limpet.log_lines(r"bind\(\)|setsockopt\(\)")
        limpet.reload(TRANSPARENT.replace("proxy_bind 127.7.8.9 transparent;", "").replace("proxy_bind 198.51.100.7 transparent;", ""))
        worker, = limpet.workers()
        wait_until(lambda: effective(worker) == 0, "a worker that has given up all")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_without_the_power_it_is_refused_at_load():
    with Limpet(TRANSPARENT, start=False, app=free_port()) as limpet:
        os.chmod(limpet.dir, 0o777)
        checked = subprocess.run(limpet.command("-t"), capture_output=True, text=True, preexec_fn=as_somebody())
        assert checked.returncode == 1
        assert re.search(r'\[emerg\].*"proxy_bind" with "transparent" needs CAP_NET_RAW or CAP_NET_ADMIN: '
                         r'setsockopt\(IP_TRANSPARENT\) failed \(1: Operation not permitted\)', checked.stderr)


@pytest.mark.skipif(not may_be_transparent(), reason="needs CAP_NET_RAW")
def test_a_socket_that_refuses_fails_the_attempt(origins):
    """A power that is taken from a running worker: an IPv6 address for a peer that has IPv4 does the same."""
    origin, = origins("app")
    config = TRANSPARENT.replace("198.51.100.7", "2001:db8::7")
    with Limpet(config, workers=1, app=origin.port) as limpet:
        assert get(limpet.port, "/foreign").status == 500  # no fault of the peer
        assert limpet.wait_log(r"setsockopt\(IPV6_TRANSPARENT\) failed")
        assert get(limpet.port, "/plain").text == "app"
        assert limpet.end(signal.SIGQUIT) == 0
