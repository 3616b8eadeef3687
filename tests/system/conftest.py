import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

import pytest  # noqa: E402

from dns import NameServer  # noqa: E402
from gate import Gate  # noqa: E402
from origin import Origin  # noqa: E402
from pods import Pods  # noqa: E402
from redis_server import RedisServer  # noqa: E402


@pytest.fixture
def origins():
    """Makes origins that are stopped when the test ends: `a, b = origins("a", "b")`."""
    made = []

    def make(*names, **options):
        these = [Origin(name, **options) for name in names]
        made.extend(these)
        return these

    yield make
    for origin in made:
        origin.stop()


@pytest.fixture
def gate():
    """An answer that waits (gate.py), no longer than its test."""
    made = Gate()
    yield made
    made.opened.set()


@pytest.fixture
def dns():
    with NameServer() as server:
        yield server


@pytest.fixture
def pods():
    made = Pods()
    yield made
    made.stop()


@pytest.fixture
def redis():
    with RedisServer() as server:
        yield server
