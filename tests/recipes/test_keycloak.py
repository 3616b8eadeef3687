"""AUTH_SESSION_ID with its route. The servers imitate what Keycloak sends during a login; it is not in Debian."""
import json
import os
import re

import pytest

from browser_client import BrowserClient
from origin import Origin, Reply
from recipe import Recipe
from site_files import TlsSite
from staying import check_that_sessions_stay

AUTH = "/realms/demo/protocol/openid-connect/auth?client_id=shop&response_type=code"
LOGIN = "/realms/demo/login-actions/authenticate?session_code="


class Keycloak(Origin):
    """The identifier is signed, so that the value has several dots; the last part is the node."""

    def __init__(self, name):
        self.logins = {}
        super().__init__(name, self.answer)

    def answer(self, request):
        found = re.search(r"AUTH_SESSION_ID=([^;]+)", request.header("cookie", ""))
        session = found and found[1]
        headers = []
        if session not in self.logins:
            session = f"{os.urandom(18).hex()}.{os.urandom(32).hex()}.{self.name}"
            headers = [("Set-Cookie", f"KC_RESTART={'x' * 3000}; Path=/realms/demo/; Secure; HttpOnly"),
                       ("Set-Cookie", f"AUTH_SESSION_ID={session}; Path=/realms/demo/; Secure; HttpOnly; SameSite=None")]
        self.logins[session] = self.logins.get(session, 0) + 1
        return Reply(json.dumps({"server": self.name, "visits": self.logins[session],
                                 "scheme": request.header("x-forwarded-proto")}).encode(), headers=headers)


@pytest.fixture
def servers():
    with Keycloak("node1") as a, Keycloak("node2") as b:
        yield a, b


def visit(browser):
    path = LOGIN + "x" if browser.cookie("AUTH_SESSION_ID") else AUTH
    seen = browser.request(path, "POST" if path.startswith(LOGIN) else "GET").json
    assert seen["scheme"] == "https"
    return seen["server"], seen["visits"]


def test_logins_stay(servers):
    site = TlsSite()
    with Recipe("keycloak", *servers, files=site) as limpet:
        browsers = [BrowserClient(limpet.port, "https", site.context()) for _ in range(6)]
        check_that_sessions_stay(limpet, browsers, visit)
