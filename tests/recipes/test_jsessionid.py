"""JSESSIONID with its route. The servers imitate Tomcat: its cookie, and its links for clients that take none."""
import json
import os
import re

import pytest

from browser_client import BrowserClient
from client import get
from origin import Origin, Reply
from recipe import Recipe
from staying import check_that_sessions_stay


class Tomcat(Origin):
    """As with jvmRoute=NAME. A session that it does not know, of another server or an old one, is replaced."""

    def __init__(self, name):
        self.visits = {}
        super().__init__(name, self.answer)

    def answer(self, request):
        path, _, query = request.target.partition("?")
        found = re.search(r"JSESSIONID=([^;]+)", request.header("cookie", "")) or re.search(r";jsessionid=([^;/]+)", path)
        session = found and found[1]
        known = session in self.visits
        if not known:
            session = f"{os.urandom(16).hex().upper()}.{self.name}"
        self.visits[session] = self.visits.get(session, 0) + 1
        takes_cookies = known and "JSESSIONID" in request.header("cookie", "")
        mark = "" if takes_cookies else f";jsessionid={session}"
        links = [f"/cart{mark}", f"/cart{mark}?page=2.node9", f"/{mark}"]
        body = {"server": self.name, "visits": self.visits[session], "links": links}
        cookie = [] if known else [("Set-Cookie", f"JSESSIONID={session}; Path=/; HttpOnly")]
        return Reply(json.dumps(body).encode(), headers=cookie)


@pytest.fixture
def servers():
    with Tomcat("node1") as a, Tomcat("node2") as b:
        yield a, b


def test_sessions_of_browsers_stay(servers):
    def visit(visitor):
        seen = visitor.get("/cart?page=1").json
        return seen["server"], seen["visits"]

    with Recipe("jsessionid", *servers) as limpet:
        check_that_sessions_stay(limpet, [BrowserClient(limpet.port) for _ in range(6)], visit)


class LinkFollower:
    """A browser that takes no cookies: the session is in the links alone."""

    def __init__(self, port):
        self.port, self.links, self.turn = port, ["/"], 0

    def visit(self):
        self.turn += 1
        page = json.loads(get(self.port, self.links[self.turn % len(self.links)]).text)
        self.links = page["links"]
        return page["server"], page["visits"]


def test_sessions_in_links_stay(servers):
    with Recipe("jsessionid", *servers) as limpet:
        check_that_sessions_stay(limpet, [LinkFollower(limpet.port) for _ in range(6)], LinkFollower.visit)
