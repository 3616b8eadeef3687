"""CONFIGS item 4: sticky route, several variables, first match wins."""
import pytest

from client import get
from daemon import Limpet
from origin import Origin

CONFIG = r"""
worker_processes 2;
events { }
http {
    map $cookie_jsessionid $route_cookie { ~.+\.(?P<route>\w+)$ $route; }
    map $request_uri $route_uri { ~jsessionid=.+\.(?P<route>\w+)$ $route; }
    upstream test_https2 {
        server 127.0.0.1:{b} route=b;
        server 127.0.0.2:{a} route=a;
        sticky route $route_cookie $route_uri;
    }
    server {
        listen {port};
        location / { proxy_pass http://test_https2; }
    }
}
"""


@pytest.fixture(scope="module")
def limpet():
    with Origin("a", address="127.0.0.2") as a, Origin("b") as b:
        with Limpet(CONFIG, a=a.port, b=b.port) as daemon:
            yield daemon


@pytest.mark.parametrize("route", ["a", "b"])
def test_route_from_the_cookie(limpet, route):
    assert {get(limpet.port, cookies={"jsessionid": f"123.{route}"}).text for _ in range(6)} == {route}


@pytest.mark.parametrize("route", ["a", "b"])
def test_route_from_the_uri(limpet, route):
    assert {get(limpet.port, f"/x?jsessionid=123.{route}").text for _ in range(6)} == {route}


def test_the_first_variable_that_matches_wins(limpet):
    answers = {get(limpet.port, "/?jsessionid=1.b", cookies={"jsessionid": "1.a"}).text for _ in range(6)}
    assert answers == {"a"}


def test_without_a_route_requests_are_balanced(limpet):
    assert {get(limpet.port).text for _ in range(10)} == {"a", "b"}
