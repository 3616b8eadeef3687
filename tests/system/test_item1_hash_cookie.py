"""CONFIGS item 1: a FastAPI service in replicas; one line makes it sticky."""
import pytest

from client import get
from daemon import Limpet
from replicas import Replica

CONFIG = """
worker_processes 2;
events { }
http {
    upstream sticky-app {
        hash $cookie_key;
        server localhost:{a};
        server localhost:{b};
    }
    server {
        listen {port};
        location / { proxy_pass http://sticky-app; }
    }
}
"""


@pytest.fixture(scope="module")
def limpet():
    with Replica() as a, Replica() as b:
        with Limpet(CONFIG, a=a.port, b=b.port) as daemon:
            yield daemon


def uuid(limpet, **cookies):
    return get(limpet.port, cookies=cookies).text


def test_same_cookie_same_replica(limpet):
    assert len({uuid(limpet, key="one") for _ in range(20)}) == 1


def test_other_cookies_reach_both_replicas(limpet):
    assert len({uuid(limpet, key=f"client-{i}") for i in range(40)}) == 2


def test_without_the_cookie_balancing_goes_on(limpet):
    assert len({uuid(limpet) for _ in range(10)}) == 2
