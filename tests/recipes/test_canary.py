"""Two releases: a visitor keeps the one it has had, whatever becomes of the share."""
import contextlib

import pytest

from browser_client import BrowserClient
from counting_app import CountingApp, visit
from recipe import Recipe
from staying import check_that_all_are_at


@pytest.fixture
def servers():
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(CountingApp(name, cookie="s")) for name in ("stable1", "stable2", "canary1", "canary2")]


def draw(limpet, count):
    """New visitors and the servers they get."""
    visitors = [BrowserClient(limpet.port, User_Agent=f"browser {i}") for i in range(count)]
    return {visitor: visit(visitor)[0] for visitor in visitors}


def share(homes):
    return sum(home.startswith("canary") for home in homes.values()) / len(homes)


def check(homes):
    check_that_all_are_at(list(homes.values()), list(homes), visit)


def test_who_is_in_the_canary_stays_in_it(servers):
    with Recipe("canary", *servers) as limpet:
        homes = draw(limpet, 120)
        assert 0.02 < share(homes) < 0.2 and len(set(homes.values())) == 4
        assert {visitor.cookie("release") for visitor in homes} == {"stable", "canary"}
        for percent in (10, 60, 1):
            limpet.switch(lambda config, percent=percent: config.replace("10% canary", f"{percent}% canary"))
            check(homes)
        visitor = next(iter(homes))
        assert "release=" not in str(visitor.get().headers), "who has the cookie is not given it again"


def test_the_first_requests_of_a_page_go_together(servers):
    with Recipe("canary", *servers) as limpet:
        for i in range(20):
            groups = {visit(BrowserClient(limpet.port, User_Agent=f"browser {i}"))[0][:6] for _ in range(6)}
            assert len(groups) == 1


def test_the_stable_release_stands_in_for_a_canary_that_is_away(servers):
    with Recipe("canary", *servers) as limpet:
        visitor = next(visitor for visitor, home in draw(limpet, 60).items() if home.startswith("canary"))
        for server in servers[2:]:
            server.stop()
        assert visit(visitor)[0].startswith("stable") and visitor.cookie("release") == "canary"


def test_the_end_of_the_canary(servers):
    with Recipe("canary", *servers) as limpet:
        homes = draw(limpet, 100)
        limpet.switch(lambda config: config.replace("canary  canary;", "").replace("10% canary; ", ""))
        assert all(visit(visitor)[0].startswith("stable") for visitor in homes)
        assert {visitor.cookie("release") for visitor in homes} == {"stable"}
