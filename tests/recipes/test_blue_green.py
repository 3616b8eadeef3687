"""A release beside the one before: sessions that live stay where they are."""
import contextlib

import pytest

from browser_client import BrowserClient
from counting_app import CountingApp, visit
from recipe import Recipe
from staying import check_that_all_are_at, check_that_sessions_stay

BLUE, GREEN = {"blue1", "blue2"}, {"green1", "green2"}


@pytest.fixture
def servers():
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(CountingApp(name, cookie="sessionid")) for name in sorted(BLUE) + sorted(GREEN)]


def before(config):
    """The configuration of the release before: green drains."""
    lines = config.splitlines(keepends=True)
    swapped = [line.replace(" drain=2h;", ";") if "10.0.0.1:" in line or "10.0.0.2:" in line
               else line.replace(":8080;", ":8080 drain=2h;") if "10.0.0.3:" in line or "10.0.0.4:" in line else line
               for line in lines]
    return "".join(swapped)


def test_sessions_of_the_release_before_stay(servers):
    with Recipe("blue-green", *servers, change=before) as limpet:
        old = [BrowserClient(limpet.port) for _ in range(6)]
        homes = check_that_sessions_stay(limpet, old, visit)
        assert set(homes) == BLUE
        limpet.switch()
        check_that_all_are_at(homes, old, visit)
        new = [BrowserClient(limpet.port) for _ in range(6)]
        assert set(check_that_sessions_stay(limpet, new, visit)) == GREEN
        check_that_all_are_at(homes, old, visit)
        for visitor in old:
            limpet.forget("sessions", visitor.cookie("sessionid"))
        limpet.wait_log("drained", count=2)
        assert {visit(visitor)[0] for visitor in old} <= GREEN
