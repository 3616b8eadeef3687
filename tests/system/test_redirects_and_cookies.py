"""proxy_redirect and proxy_cookie_*: what an upstream says of itself, as clients are to see it; X-Accel-*."""
import os

import pytest

from client import get
from daemon import Limpet
from origin import Origin, Reply

CONFIG = r"""
events { }
http {
    absolute_redirect off;
    server {
        listen {port};
        location / {
            proxy_pass http://127.0.0.1:{origin}/;
            proxy_redirect http://back/one/ /uno/;
            proxy_redirect ~*^http://back/(two.*)$ /dos/$1;
            proxy_redirect ~^https://(?<site>[^:/]+)(:\d+)?(?<rest>.*)$ /$site$rest;
            proxy_cookie_domain back.org front.org;
            proxy_cookie_domain ~\.?sub\.(?<parent>.+)$ $parent;
            proxy_cookie_path /one/ /uno/;
            proxy_cookie_path ~^/(?<word>two) /dos-$word;
            proxy_cookie_flags flagged secure httponly samesite=strict;
            proxy_cookie_flags ~^bare nohttponly nosamesite secure;
        }
        location /default/ { proxy_pass http://127.0.0.1:{origin}/base/; }
        location /off/ { proxy_pass http://127.0.0.1:{origin}/; proxy_redirect off; proxy_ignore_headers X-Accel-Redirect; }
        location /files/ { internal; alias {dir}/files/; }
        location /paged/ { internal; alias {dir}/none/; error_page 404 /files/a.html; }
        location /refused/ { internal; return 403; }
        location /moved/ { internal; return 302 /x; }
        location @named { return 200 "named $uri"; }
        location /server/ { proxy_pass http://127.0.0.1:{origin}/; proxy_pass_header Server; }
    }
}
"""

LOCATIONS = {
    "http://back/one/x?y": "/uno/x?y",
    "http://BACK/two": "/dos/two",
    "https://b.example:8443/p?q": "/b.example/p?q",
    "/rel": "/rel",
    "http://elsewhere/": "http://elsewhere/",
}
COOKIES = {
    "a=b; Domain=back.org; Path=/one/x; Secure": "a=b; Domain=front.org; Path=/uno/x; Secure",
    "a=b; domain=.back.org; path=/two": "a=b; domain=.front.org; path=/dos-two",
    "a=b; Domain=x.sub.back.org": "a=b; Domain=back.org",
    "flagged=1; Path=/": "flagged=1; Path=/; Secure; HttpOnly; SameSite=Strict",
    "bare=1; HttpOnly; SameSite=Lax": "bare=1; Secure",
    "other=1; HttpOnly": "other=1; HttpOnly",
    "noequals": "noequals",
}


@pytest.fixture(scope="module")
def limpet():
    with Origin() as origin:
        running = Limpet(CONFIG, workers=1, start=False, origin=origin.port)
        os.mkdir(running.path("files"))
        with open(running.path("files/a.html"), "w") as out:
            out.write("A")
        with running:
            running.origin = origin
            running.start()
            yield running


def answer(limpet, *headers, status="200 OK"):
    limpet.origin.respond = lambda request: Reply(b"body", status=status, headers=list(headers))


@pytest.mark.parametrize("said", LOCATIONS)
def test_locations(limpet, said):
    answer(limpet, ("Location", said), ("Refresh", f"5; url={said}"), status="302 Found")
    response = get(limpet.port)
    assert response.header("location") == LOCATIONS[said]
    assert response.header("refresh") == f"5; url={LOCATIONS[said]}"
    assert get(limpet.port, "/off/").header("location") == said


def test_the_default_maps_the_url_back(limpet):
    answer(limpet, ("Location", f"http://127.0.0.1:{limpet.origin.port}/base/x"), status="302 Found")
    assert get(limpet.port, "/default/y").header("location") == "/default/x"


@pytest.mark.parametrize("said", COOKIES)
def test_cookies(limpet, said):
    answer(limpet, ("Set-Cookie", said), ("Set-Cookie", "last=1; HttpOnly"))
    assert get(limpet.port).all("set-cookie") == [COOKIES[said], "last=1; HttpOnly"]


def test_x_accel_redirect(limpet):
    answer(limpet, ("X-Accel-Redirect", "/files/a.html"), ("Content-Type", "x/y"), ("Set-Cookie", "s=1"), ("X-Other", "o"))
    response = get(limpet.port, method="POST", body=b"x")
    assert (response.status, response.text, response.header("content-type")) == (200, "A", "x/y")
    assert response.cookie("s") == "1" and response.header("x-other") is None
    assert get(limpet.port, "/off/").text == "body"
    answer(limpet, ("X-Accel-Redirect", "@named"))
    assert get(limpet.port, "/x").text == "named /x"


def test_cookies_beside_x_accel_redirect(limpet):
    for said, seen in COOKIES.items():
        answer(limpet, ("X-Accel-Redirect", "/files/a.html"), ("Set-Cookie", said), ("Set-Cookie", "last=1; HttpOnly"))
        assert get(limpet.port).all("set-cookie") == [seen, "last=1; HttpOnly"]


@pytest.mark.parametrize("target, status", [("/files/a.html", 200), ("/files/none", 404), ("/paged/none", 404),
                                            ("/refused/", 403), ("/moved/", 302)])
def test_what_comes_along_with_x_accel_redirect_is_for_whoever_answers(limpet, target, status):
    along = [("Cache-Control", "private"), ("Cache-Control", "max-age=5"), ("Expires", "Thu, 01 Jan 2037 00:00:00 GMT"),
             ("Content-Disposition", "attachment"), ("Set-Cookie", "s=1")]
    answer(limpet, ("X-Accel-Redirect", target), ("X-Other", "o"), *along)
    response = get(limpet.port)
    names = {name for name, _ in along}
    assert response.status == status and response.header("x-other") is None
    assert sorted(field for field in response.headers if field[0] in names) == sorted(along)


@pytest.mark.parametrize("target", ["/../files/a.html", "/files/..", "/files/.%2e", "/files/%2e%2e/", "/files/../files/a.html",
                                    "/..", "..", "/files/%2E./a.html", "files/a.html", "/files/a%00.html", ""])
def test_x_accel_redirect_to_nowhere(limpet, target):
    answer(limpet, ("X-Accel-Redirect", target))
    assert get(limpet.port).status == 404
    assert limpet.log_lines("unsafe URI .* was detected while reading response header from upstream")


def test_whose_server_field(limpet):
    answer(limpet)
    assert get(limpet.port).header("server").startswith("limpet/")
    assert get(limpet.port, "/server/").header("server") is None  # the upstream has said nothing
    answer(limpet, ("Server", "mine"))
    assert get(limpet.port).header("server").startswith("limpet/")
    assert get(limpet.port, "/server/").header("server") == "mine"
