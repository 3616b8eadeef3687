"""PHP's own sessions, under its built-in server."""
import pytest

from browser_client import BrowserClient
from recipe import Recipe
from servers import php_servers
from staying import check_that_all_are_at, check_that_sessions_stay


@pytest.fixture
def servers(tmp_path):
    with php_servers("php.php", tmp_path, "a", "b") as pair:
        yield pair


def visit(visitor, path="/"):
    seen = visitor.get(path).json
    return seen["server"], seen["visits"]


def test_sessions_stay(servers):
    with Recipe("php", *servers) as limpet:
        visitors = [BrowserClient(limpet.port) for _ in range(6)]
        homes = check_that_sessions_stay(limpet, visitors, visit)
        before = [visitor.cookie("PHPSESSID") for visitor in visitors]
        assert [visit(visitor, "/login")[0] for visitor in visitors] == homes
        assert not set(before) & {visitor.cookie("PHPSESSID") for visitor in visitors}, "a login changes the identifier"
        for _ in range(4):
            check_that_all_are_at(homes, visitors, visit)


def test_a_logout_ends_the_session(servers):
    with Recipe("php", *servers) as limpet:
        visitor = BrowserClient(limpet.port)
        visit(visitor)
        assert limpet.sessions("php_sessions") == 1
        assert visitor.get("/logout").status == 200 and visitor.cookie("PHPSESSID") is None
        assert limpet.sessions("php_sessions") == 0, "neither that one nor one called deleted"
