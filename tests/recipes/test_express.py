"""express-session's own sessions, under Express."""
import pytest

from browser_client import BrowserClient
from node import node_servers
from recipe import Recipe
from staying import check_that_sessions_stay


@pytest.fixture(scope="module")
def servers():
    with node_servers("express.cjs", "a", "b") as pair:
        yield pair


def visit(visitor):
    seen = visitor.get().json
    return seen["server"], seen["visits"]


def test_sessions_stay(servers):
    with Recipe("express", *servers) as limpet:
        check_that_sessions_stay(limpet, [BrowserClient(limpet.port) for _ in range(6)], visit)


def test_a_logout_ends_the_session(servers):
    with Recipe("express", *servers) as limpet:
        visitor = BrowserClient(limpet.port)
        visit(visitor)
        assert visitor.cookie("connect.sid") and limpet.sessions("express_sessions") == 1
        assert visitor.get("/logout").status == 200
        assert visitor.cookie("connect.sid") is None and limpet.sessions("express_sessions") == 0
