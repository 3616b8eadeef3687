"""Sessions that travel in the cookie, under Flask."""
import re

import pytest

from browser_client import BrowserClient
from recipe import Recipe
from servers import python_servers
from staying import check_that_sessions_stay

VISITORS = 6


@pytest.fixture(scope="module")
def servers():
    with python_servers("flask_app.py", "a", "b") as these:
        yield these


def visit(visitor):
    seen = visitor.get().json
    assert seen["in_cookie"] == seen["visits"], "no visit was elsewhere"
    return seen["server"], seen["visits"]


def test_visitors_stay(servers):
    with Recipe("client-cookies", *servers) as limpet:
        visitors = [BrowserClient(limpet.port) for _ in range(VISITORS)]
        check_that_sessions_stay(limpet, visitors, visit)
        assert all(visitor.cookie("srv") for visitor in visitors)


def test_learning_such_cookies_fills_the_zone(servers):
    """Why the recipe does not."""
    def learning(config):
        return re.sub(r"sticky cookie [^;]+;",
                      "sticky learn create=$upstream_cookie_session lookup=$cookie_session zone=z:1m;", config)

    with Recipe("client-cookies", *servers, change=learning) as limpet:
        visitors = [BrowserClient(limpet.port) for _ in range(VISITORS)]
        for _ in range(5):
            for visitor in visitors:
                visitor.get()
        assert limpet.sessions("z") == 5 * VISITORS
