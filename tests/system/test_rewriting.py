"""Where a request goes: rewrite, if, set, return, try_files, error_page, nested and named locations."""
import os

import pytest

from client import Connection
from daemon import Limpet
from origin import Origin, Reply

CONFIG = r"""
events { }
http {
    absolute_redirect off;
    server {
        listen {port};
        root {dir}/www;
        rewrite ^/server/(.*)$ /show/$1?s=1;
        location /show/ { return 200 "$uri?$args"; }
        location /last/ { rewrite ^/last/(.*)$ /show/$1 last; return 200 never; }
        location /break/ { rewrite ^/break/(.*)$ /show/$1 break; try_files /none =418; }
        location /plain/ { rewrite ^/plain/(.*)$ /show/$1; return 200 "$uri"; }
        location /args/ { rewrite ^/args/(.*)$ /show/x?to=$1 last; }
        location /noargs/ { rewrite ^/noargs/(.*)$ /show/$1? last; }
        location /found/ { rewrite ^/found/(.*)$ /new/$1 redirect; }
        location /moved/ { rewrite ^/moved/(.*)$ /new/$1 permanent; }
        location /away/ { rewrite ^/away/(.*)$ http://other/$1; }
        location /named/ { rewrite ^/named/(?<word>\w+)$ /show/$word-$1 last; }
        location /cycle/ { rewrite ^(/cycle/.*)$ $1 last; }
        location /set { set $a 1; set $a "${a}2"; if ($arg_more) { set $a "${a}3"; } return 200 $a; }
        location /default_to {
            if ($http_x_proto = "") { set $http_x_proto none; }
            if ($arg_a = "") { set $arg_a none; }
            if ($cookie_c = "") { set $cookie_c none; }
            return 200 "$http_x_proto $arg_a $cookie_c";
        }
        location /own { set $msie 1; set $ssl_client_verify NONE; return 200 "$msie $ssl_client_verify"; }
        location /unset { return 200 "$http_x_proto|$arg_a|$cookie_c"; }
        location /caught_header { if ($uri ~ "^/no(?<http_caught>t)") { } return 200 "$http_caught|"; }
        location /stop { set $a 1; if ($arg_more) { break; } return 200 $a; }
        location /if {
            if ($arg_a = x) { return 200 equal; }
            if ($arg_a ~ ^y(.)$) { return 200 "match $1"; }
            if ($arg_a ~* ^Z) { return 200 nocase; }
            if ($arg_b != x) { return 200 other; }
            return 200 none;
        }
        location ~ ^/noarg/ { rewrite ^/noarg/(.*)$ /toldarg?$1 last; }
        location = /toldarg { return 200 $args; }
        location /method { if ($request_method = POST) { return 405; } return 200 ok; }
        location /file { if (-f $document_root/a.html) { return 200 file; } return 200 none; }
        location /dir { if (!-d $document_root/sub) { return 200 none; } return 200 dir; }
        location /try/ { try_files $uri $uri/ /show/fallback?u=$uri; }
        location /code/ { try_files $uri =410; }
        location /at/ { try_files $uri @named; }
        location @named { return 200 "named $uri"; }
        location /page/ { error_page 404 /show/page; }
        location /page200/ { error_page 404 =200 /a.html; }
        location /pagesame/ { error_page 404 = /show/page; }
        location /pagekeep/ { error_page 404 /a.html; }
        location /pagenamed/ { error_page 404 = @named; }
        location /pageaway/ { error_page 404 http://other/gone; }
        location /pageproxied/ { error_page 404 = @origin; }
        location @origin { proxy_pass http://127.0.0.1:{origin}; }
        location /pages/ { error_page 404 /second; error_page 403 /a.html; }
        location = /second { error_page 403 /a.html; return 403; }
        location /recursive/ { recursive_error_pages on; error_page 404 /third; }
        location = /third { recursive_error_pages on; error_page 403 /a.html; return 403; }
        location /inner { internal; }
        location /into/ { rewrite ^/into/(.*)$ /inside/$1 last; }
        location /inside/ { internal; client_max_body_size 3; return 200 "inside $uri"; }
        location /into2/ { rewrite ^/into2/(.*)$ /bounded/$1 last; }
        location /hidden/ { internal; proxy_pass http://127.0.0.1:{origin}; }
        location /bounded/ { client_max_body_size 3; proxy_pass http://127.0.0.1:{origin}; }
        location /empty/ { return 301 $arg_to; }
        location /silent { return 408; }
        location /page401 { return 401; }
        location = /exact { return 200 exact; }
        location ^~ /strong/ { return 200 strong; }
        location ~ \.cgi$ { return 200 regex; }
        location ~ ^/caught/(?<first>\w+)/(\w+)$ { return 200 "$first $2"; }
        location ~ ^/kept/(?<word>\w+)/ { location ~ \.txt$ { return 200 "$word|$1"; } return 200 outer; }
        location ~ ^/lost/(?<word>\w+)$ { if ($arg_a ~ ^(y)) { return 200 "$word|$1"; } return 200 "$word|$1"; }
        location /weak/ { location ^~ /weak/a { return 200 inner; } location ~ b\.cgi$ { return 200 beside; } }
        location /nest/ { location /nest/a { return 200 inner; } location ~ b$ { return 200 $uri; } return 200 outer; }
        location /status { error_page 404 = @status; return 404; }
        location @status { return 202 $status; }
        location /typed { return 200 "{}"; default_type application/json; }
        location /bare404 { return 404 ""; }
        location /bare204 { return 204; }
        location /bare418 { return 418; }
        location /bare301 { return 301; }
        location /lostproxy {
            if ($arg_a) { proxy_pass http://127.0.0.1:{origin}; }
            if ($arg_b) { }
        }
        location /go { return 307 /there?$args; }
        location /slash/ { proxy_pass http://127.0.0.1:{origin}; }
        location /both { return 302 /both/; }
        location /both/ { proxy_pass http://127.0.0.1:{origin}; }
        location ^~ /strong2 { return 200 "mine"; }
        location /strong2/ { proxy_pass http://127.0.0.1:{origin}; }
        location /into { location /into { return 200 "inner"; } location /into/ { proxy_pass http://127.0.0.1:{origin}; } }
        location ~ ^/into_var/(.*)$ { set $a $1; return 200 "$a|$1"; }
        location ~ ^/into_var_by_name/(?<word>.*)$ { set $a $word; return 200 $a; }
        location ~ ^/around/(.*)$ { rewrite ^/no/(.*)$ /x; set $a $1; rewrite ^/around/(.*)$ /y; set $b $1; return 200 "$a|$b"; }
        location /before/ { if ($uri ~ ^/before/(.*)$) { set $a $1; rewrite ^/(b)efore/(.*)$ /y; set $b $2; } return 200 "$a|$b"; }
        location ~ ^/compared/(.*)$ { if ($arg_a = $1) { return 200 same; } if (-d $document_root/$1) { return 200 dir; } return 200 none; }
        location /under { location /under/ { proxy_pass http://127.0.0.1:{origin}; } return 200 "outer"; }
    }
}
"""

# path -> status, and the body, or what Location says
TABLE = {
    "/server/x?y": (200, "/show/x?s=1&y"),
    "/last/x?y=z": (200, "/show/x?y=z"),
    "/break/x": (418, None),
    "/plain/x": (200, "/show/x"),
    "/args/a%26b": (200, "/show/x?to=a%26b"),
    "/noargs/x?y": (200, "/show/x?"),
    "/noarg/?k=v": (200, "&k=v"),
    "/noarg/a?k=v": (200, "a&k=v"),
    "/found/x?y": (302, "/new/x?y"),
    "/moved/x%20y": (301, "/new/x%20y"),
    "/away/x?y": (302, "http://other/x?y"),
    "/named/word": (200, "/show/word-word?"),
    "/cycle/x": (500, None),
    "/set": (200, "12"),
    "/set?more=1": (200, "123"),
    "/set?more=0": (200, "12"),
    "/stop": (200, "1"),
    "/stop?more=1": (404, None),
    "/if?a=x": (200, "equal"),
    "/if?a=yo": (200, "match o"),
    "/if?a=zz": (200, "nocase"),
    "/if": (200, "other"),
    "/if?b=x": (200, "none"),
    "/file": (200, "file"),
    "/dir": (200, "dir"),
    "/try/x": (200, "/show/fallback?u=/try/x"),
    "/try/there.html": (200, "THERE"),
    "/code/x": (410, None),
    "/at/x": (200, "named /at/x"),
    "/page/x": (404, "/show/page?"),
    "/page200/x": (200, "A"),
    "/pagesame/x": (200, "/show/page?"),
    "/pagekeep/x": (404, "A"),
    "/pagenamed/x": (200, "named /pagenamed/x"),
    "/pageaway/x": (302, "http://other/gone"),
    "/pageproxied/x": (203, "origin"),
    "/pages/x": (403, None),
    "/recursive/x": (403, "A"),
    "/inner": (404, None),
    "/into/x": (200, "inside /inside/x"),
    "/inside/x": (404, None),
    "/empty/": (301, ""),
    "/exact": (200, "exact"),
    "/exact/": (404, None),
    "/strong/x.cgi": (200, "strong"),
    "/x.cgi": (200, "regex"),
    "/caught/a/b": (200, "a b"),
    "/kept/a/x.txt": (200, "a|"),  # the inner match has no group: the outer one's name stays
    "/kept/a/c": (200, "outer"),
    "/lost/a?a=y": (200, "a|y"),
    "/lost/a": (200, "a|"),  # a condition that does not match takes $1 away, as in nginx
    "/weak/a": (200, "inner"),
    "/weak/ab.cgi": (200, "regex"),  # ^~ forbids the expressions beside it, not those further out
    "/nest/": (200, "outer"),
    "/nest/a": (200, "inner"),
    "/nest/ab": (200, "/nest/ab"),
    "/nest/b": (200, "/nest/b"),
    "/status": (202, "202"),
    "/typed": (200, "{}"),
    "/bare404": (404, None),
    "/bare204": (204, ""),
    "/bare418": (418, ""),
    "/bare301": (301, None),
    "/lostproxy?a=1": (203, "origin"),
    "/lostproxy?b=1": (404, None),
    "/lostproxy?a=1&b=1": (500, None),  # as in nginx: who has the request is said by the first, and nothing by the second
    "/go?a=b": (307, "/there?a=b"),
    "/slash": (301, "/slash/"),
    "/slash?a": (301, "/slash/?a"),
    "/both": (302, "/both/"),  # its own location counts, not the one with the slash
    "/both/": (203, "origin"),
    "/strong2": (200, "mine"),
    "/into": (200, "inner"),
    "/under": (301, "/under/"),
    # Groups in values are encoded where the path is, until a rewrite has matched.
    "/into_var/a%20b%3Fc%2Fd": (200, "a%20b%3Fc/d|a b?c/d"),
    "/into_var/a+b": (200, "a%2Bb|a+b"),
    "/into_var/a&b": (200, "a&b|a&b"),
    "/into_var/a?%20": (200, "a|a"),
    "/into_var_by_name/a%20b": (200, "a b"),
    "/around/a%20b": (200, "|a b"),
    "/before/a%20b": (200, "a%20b|a b"),
    "/compared/a%20b?a=a%20b": (200, "same"),
    "/compared/try%20s": (200, "none"),
    "/compared/try": (200, "dir"),
}


@pytest.fixture(scope="module")
def limpet():
    with Origin("origin", respond=lambda request: Reply(b"origin", status="203 Made")) as origin:
        running = Limpet(CONFIG, workers=1, start=False, origin=origin.port)
        for name, text in {"a.html": "A", "try/there.html": "THERE", "sub/x": "", "try s/x": ""}.items():
            path = os.path.join(running.dir, "www", name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as out:
                out.write(text)
        with running:
            running.start()
            yield running


@pytest.mark.parametrize("path", TABLE)
def test_the_table(limpet, path):
    status, text = TABLE[path]
    with Connection(limpet.port) as connection:
        response = connection.request(path)
        assert response.status == status
        if text is not None:
            assert (response.header("location") if 300 <= status < 400 else response.text) == text
        if status != 500:  # which closes
            assert connection.request("/exact").text == "exact"  # the connection is kept and in step


def test_set_may_give_a_default_to_what_a_request_brings(limpet):
    brings = [("X-Proto", "https"), ("Cookie", "c=2")]
    with Connection(limpet.port) as connection:
        assert connection.request("/default_to").text == "none none none"
        assert connection.request("/default_to?a=1", headers=brings).text == "https 1 2"
        assert connection.request("/own").text == "1 NONE"
        assert connection.request("/unset").text == "||"
        assert connection.request("/unset?a=1", headers=brings).text == "https|1|2"
        assert connection.request("/caught_header", headers=[("Caught", "x")]).text == "|"  # a named group is its own


def test_the_servers_script_runs_once_where_no_location_is():
    with Limpet("""
events { }
http { server { listen {port}; rewrite ^/a$ /b last; if ($uri = /b) { return 200 twice; } location /x { } } }
""", workers=1) as limpet, Connection(limpet.port) as connection:
        assert connection.request("/a").status == 404  # the file b
        assert connection.request("/b").text == "twice"


def test_what_goes_with_a_status(limpet):
    with Connection(limpet.port) as connection:
        assert connection.request("/bare204").header("content-type") is None
        assert connection.request("/typed").header("content-type") == "application/json"
        assert "<h1>404 Not Found</h1>" in connection.request("/bare404").text
        assert "<title>302 Found</title>" in connection.request("/found/x").text
        page = connection.request("/pagekeep/x")
        assert page.header("last-modified") is None and page.header("etag")
        assert connection.request("/method", "POST", body=b"x").status == 405


def test_a_rewritten_uri_has_the_limits_of_its_location(limpet):
    with Connection(limpet.port) as connection:
        assert connection.request("/into2/x", "POST", body=b"abc").text == "origin"
        assert connection.request("/into2/x", "POST", body=b"abcd").status == 413


def test_a_path_without_its_slash_has_the_limits_of_its_location(limpet):
    with Connection(limpet.port) as connection:
        assert connection.request("/bounded").header("location") == "/bounded/"
        assert connection.request("/hidden").status == 404
        assert connection.request("/bounded", "POST", body=b"abcd").status == 413


def test_pages_of_our_own(limpet):
    with Connection(limpet.port) as connection:
        assert "<title>401 Authorization Required</title>" in connection.request("/page401").text
        plain = connection.request("/bare404")
        chrome = [("User-Agent", "Mozilla/5.0 (X11; Linux) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0 Safari/537.36")]
        assert len(connection.request("/bare404", headers=chrome).body) > len(plain.body) + 400
        assert len(connection.request("/bare301", headers=chrome).body) == len(connection.request("/bare301").body)
        connection.send("GET /silent HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            connection.response()


SCRIPT = """
events { }
http {
    server {
        listen {port};
        rewrite_log on;
        location /a { rewrite ^/a/(.*)$ /b/$1?x=1 last; }
        location /b { rewrite ^/c /d last; if ($uri ~ ^/b/(.)) { return 200 "[$never]"; } }
        location /r { rewrite ^/r/(.*)$ /s/$1 redirect; }
        location /quiet { rewrite_log off; rewrite ^/quiet /b last; }
        location /mute { uninitialized_variable_warn off; return 200 "[$never]"; }
        if ($arg_set) { set $never 1; }
    }
}
"""


def test_the_script_tells_what_it_does():
    with Limpet(SCRIPT, workers=1) as limpet, Connection(limpet.port) as connection:
        assert connection.request("/a/q?y=2").text == "[]"
        assert connection.request("/a/q?set=1").text == "[1]"
        assert connection.request("/r/q").status == 302
        assert connection.request("/mute").text == "[]"
        connection.request("/quiet")
        limpet.wait_log('rewritten redirect: "/s/q"')
        for said in (r'"\^/a/\(\.\*\)\$" matches "/a/q", client', 'rewritten data: "/b/q", args: "x=1&y=2", client',
                     r'"\^/c" does not match "/b/q"', r'"\^/b/\(\.\)" matches "/b/q"'):
            assert limpet.log_lines(r"\[notice\] .*" + said), said
        assert len(limpet.log_lines(r'\[warn\] .*using uninitialized "never" variable')) == 1
        assert not limpet.log_lines('matches "/quiet"')
