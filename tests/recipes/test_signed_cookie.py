"""A cookie of limpet's own that is sealed: visitors stay, and what they make up counts for nothing."""
import pytest

from browser_client import BrowserClient
from client import get
from counting_app import CountingApp, visit
from recipe import Recipe
from site_files import cookie_key
from staying import check_that_sessions_stay


@pytest.fixture
def servers():
    with CountingApp("app1", cookie="s") as a, CountingApp("app2", cookie="s") as b:
        yield a, b


def test_visitors_stay(servers):
    with Recipe("signed-cookie", *servers, files=cookie_key) as limpet:
        visitors = [BrowserClient(limpet.port) for _ in range(6)]
        check_that_sessions_stay(limpet, visitors, visit)
        values = {visitor.cookie("srv") for visitor in visitors}
        assert len(values) == len(visitors), "no two are alike"
        assert not any("app1" in value or "app2" in value for value in values)


def test_a_forged_value_is_none(servers):
    with Recipe("signed-cookie", *servers, files=cookie_key) as limpet:
        good = get(limpet.port).cookie("srv")
        assert good and get(limpet.port, cookies={"srv": good}).cookie("srv") is None, "it is in order"
        for forged in (good[:-1], good[:20] + ("A" if good[20] != "A" else "B") + good[21:], "app1"):
            assert get(limpet.port, cookies={"srv": forged}).cookie("srv") not in (None, good, forged)
