"""Servers that a name server gives: origins at addresses of their own on one port, and a limpet that finds them by name."""
import json

from client import get
from daemon import Limpet
from origin import Origin
from ports import free_port
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


class Pods:
    """Makes origins at addresses 127.0.1.N, all on one port: `pods(1, 2)`."""

    def __init__(self):
        self.port, self._made = free_port(), []

    def __call__(self, *numbers):
        these = [Origin(f"pod{n}", port=self.port, address=f"127.0.1.{n}") for n in numbers]
        self._made.extend(these)
        return these

    def stop(self):
        for pod in self._made:
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


def service(dns, *records):
    """Records (priority, weight, port, pod number)."""
    dns.set_service("_http._tcp.app.test", *((*numbers, f"pod{n}.test") for *numbers, n in records))
    for *_, n in records:
        dns.add(f"pod{n}.test", [f"127.0.1.{n}"])
