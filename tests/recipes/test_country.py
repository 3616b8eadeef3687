"""Regions by country. The visitors' addresses are told by a proxy in front, as the recipe's comment says."""
import contextlib

import pytest

from browser_client import BrowserClient
from counting_app import CountingApp, visit
from recipe import Recipe
from site_files import countries
from staying import check_that_all_are_at, check_that_sessions_stay

IN_FRANCE, IN_THE_US, ELSEWHERE = "192.0.2.{}", "198.51.100.{}", "203.0.113.{}"


@pytest.fixture
def servers():
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(CountingApp(name, cookie="s")) for name in ("eu1", "eu2", "us1", "us2")]


def behind_a_proxy(config):
    return config.replace("# Behind another proxy: set_real_ip_from 10.0.0.0/8;", "set_real_ip_from 127.0.0.1;")


def site(servers):
    return Recipe("country", *servers, change=behind_a_proxy, files=countries)


def visitors(limpet, network, count=4):
    return [BrowserClient(limpet.port, X_Forwarded_For=network.format(i + 1)) for i in range(count)]


@pytest.mark.parametrize("network, region", [(IN_FRANCE, "eu"), (IN_THE_US, "us"), (ELSEWHERE, "eu")])
def test_visitors_of_a_country_are_served_in_their_region(servers, network, region):
    with site(servers) as limpet:
        homes = check_that_sessions_stay(limpet, visitors(limpet, network), visit)
        assert {home[:2] for home in homes} == {region}


def test_a_visitor_on_a_journey_stays(servers):
    with site(servers) as limpet:
        travellers = visitors(limpet, IN_FRANCE) + visitors(limpet, IN_THE_US)
        homes = [visit(traveller)[0] for traveller in travellers]
        assert {home[:2] for home in homes[:4]} == {"eu"} and {home[:2] for home in homes[4:]} == {"us"}
        for i, traveller in enumerate(travellers):
            traveller.headers["X-Forwarded-For"] = (IN_THE_US if i < 4 else IN_FRANCE).format(i + 1)
        check_that_all_are_at(homes, travellers, visit)
