"""Configurations and what nginx and limpet say to them. Where nginx is installed (or LIMPET_NGINX names one), it is asked, too."""
import os
import re
import shutil
import subprocess

import pytest

from daemon import BINARY
from waiting import PATIENCE

NGINX = os.environ.get("LIMPET_NGINX") or shutil.which("nginx")
VERSION = "1.31.5"  # whose verdicts the tables have

HEAD = "events { }\n"
ZONES = "limit_req_zone $uri zone=zz:1m rate=1r/s; limit_conn_zone $uri zone=cc:1m;\n"
AROUND = {
    "main": (HEAD, ""),
    "events": ("events {\n", "\n}"),
    "http": (f"{HEAD}http {{ {ZONES}", "\nserver { } }"),
    "server": (f"{HEAD}http {{ {ZONES} server {{\n", "\n} }"),
    "location": (f"{HEAD}http {{ {ZONES} server {{ location / {{\n", "\n} } }"),
    "upstream": (f"{HEAD}http {{ upstream up {{\n", "\nserver 127.0.0.1:2; } server { location / { proxy_pass http://up; } } }"),
}

# Lines of a block with the verdicts of nginx and limpet. A difference has its reason, which limpet's message tells.
VERDICTS = [
    # What keeps responses is left out: they are right, only slower.
    ("http", "proxy_cache_path c keys_zone=k:1m; proxy_cache k; slice 1m;", "yes", "yes"),
    ("location", "proxy_store on; proxy_store_access user:rw;", "yes", "yes"),
    ("main", "thread_pool a threads=1;", "yes", "yes"),
    ("main", "thread_pool a threads=1; thread_pool b threads=1;", "yes", "yes"),
    ("main", "thread_pool a;", "no", "no: invalid number of arguments"),
    ("http", "fastcgi_temp_path a; uwsgi_temp_path a; scgi_temp_path a;", "yes", "yes"),
    ("http", "map $upstream_cache_status $x { default 1; }", "yes", "yes"),
    ("http", "modern_browser msie 5.5; ancient_browser Lynx; map $msie$ancient_browser$modern_browser $x { default 1; }", "yes", "yes"),
    # Other protocols, and bodies of its own.
    ("main", "stream { }", "yes", "no: limpet proxies HTTP only: stream is left out"),
    ("main", "mail { }", "yes", "no: limpet proxies HTTP only: mail is left out"),
    ("location", "fastcgi_pass 127.0.0.1:9000;", "yes", "no: limpet proxies HTTP only: FastCGI is left out"),
    ("location", "uwsgi_pass 127.0.0.1:9000;", "yes", "no: limpet proxies HTTP only: uwsgi is left out"),
    ("location", "scgi_pass 127.0.0.1:9000;", "yes", "no: limpet proxies HTTP only: SCGI is left out"),
    ("location", "set $memcached_key a; memcached_pass 127.0.0.1:9000;", "yes", "no: limpet proxies HTTP only: memcached is left out"),
    ("location", "ssi on;", "yes", "no: server side includes are left out"),
    ("location", "ssi off; userid off;", "yes", "yes"),
    ("location", "dav_methods PUT;", "yes", "no: limpet serves files as they are"),
    # Stickiness.
    ("upstream", "sticky learn create=$upstream_cookie_connect.sid lookup=$cookie_connect.sid zone=z:1m;", "yes", "yes"),
    ("upstream", "sticky route $cookie_next-auth.session-token $arg_route;", "yes", "yes"),
    ("upstream", "sticky cookie a path=/$uri domain=.example.com;", "yes", "yes"),
    ("upstream", "sticky cookie a path=;", "no", "no"),
    ("upstream", "sticky cookie a domain=;", "no", "no"),
    ("upstream", "sticky;", "no", "no: write instead: sticky cookie route;"),
    ("upstream", "sticky name=route expires=1h hash=sha1 no_fallback;", "no",
     "no: write instead: sticky cookie route expires=1h; sticky_strict on;"),
    ("upstream", "session_sticky cookie=sid fallback=off;", "no", "no: write instead: sticky cookie sid; sticky_strict on;"),
    ("upstream", "check interval=3000 rise=2 fall=5;", "no", "no: write instead: health_check interval=3000ms passes=2 fails=5;"),
    ("upstream", "least_time header inflight;", "yes", "yes"),
    ("upstream", "least_time header now;", "no", "no: least_time takes header | last_byte [inflight]"),
    # More than nginx knows.
    ("upstream", "sticky cookie a Partitioned max-age=1 $cookie_b;", "no", "yes"),
    ("location", "api;", "no", "yes"),
    ("location", "api write=on;", "no", "yes"),
    # Logs.
    ("http", "access_log syslog:server=localhost:5140;", "yes", "yes"),
    ("http", "access_log syslog:server=nobody.invalid;", "no", 'no: host not found in syslog server "nobody.invalid"'),
    ("main", "error_log syslog:server=localhost info;", "yes", "yes"),
    ("main", "error_log syslog:server=127.0.0.1,server=127.0.0.2;", "no", 'no: duplicate syslog "server"'),
    ("http", "access_log logs/a.gz combined gzip; access_log logs/a.gz combined buffer=1k;", "no", "no: conflicting parameters"),
    ("http", "access_log logs/a.gz combined gzip; access_log logs/a.gz combined gzip=1;", "yes", "yes"),
    ("http", "access_log logs/a.gz combined gzip; access_log logs/a.gz;", "yes", "yes"),
    # Places of files.
    ("http", "server { listen unix:/nowhere/socket; }", "no", "no: bind() to unix:/nowhere/socket failed (2: No such file or directory)"),
    ("http", "client_body_temp_path /nowhere/at/all;", "no", "no: mkdir() \"/nowhere/at/all\" failed (2: No such file or directory)"),
    ("main", "pid /nowhere/at/all.pid;", "no", "no: open() \"/nowhere/at/all.pid\" failed (2: No such file or directory)"),
    # Places and words of errors.
    ("http", "map $uri $ { a b; }", "no", 'no: invalid variable name "$"'),
    ("http", "split_clients $uri $ { * b; }", "no", 'no: invalid variable name "$"'),
    ("http", "map $host $x { hostnames; a..com b; }", "no", 'no: invalid hostname or wildcard "a..com"'),
    ("http", "map $host $x { a..com b; }", "yes", "yes"),
    ("http", "large_client_header_buffers 4 0;", "no", 'no: invalid value "0": it is above 0'),
    ("server", "proxy_pass http://127.0.0.1:1;", "no", "no: it belongs in location"),
    ("http", "send_timeout 1q;", "no", 'no: invalid value "1q"'),
    ("http", "valid_referers none;", "no", "no: it belongs in server, location"),
    ("location", "valid_referers none ~x;", "no", "no: without any valid referer"),
    ("location", "valid_referers none server_names ~x;", "yes", "yes"),
    # Names.
    ("server", "if ($arg_return-url ~ ^http) { return 200; } if ($cookie_connect.sid = x) { return 200; }", "yes", "yes"),
    ("server", "if ($no-such) { return 200; }", "no", 'no: unknown "no-such" variable'),
    ("server", "if ($uri$args) { return 200; }", "no", 'no: unknown "uri$args" variable'),
    ("server", "location @a { return 200; } location @a { return 404; }", "yes", "yes"),
    ("server", "location = /a { return 200; } location = /a { return 404; }", "no", 'no: duplicate location "/a"'),
    ("http", "map $uri $invalid_referer { default 1; } map $uri $ssl_client_verify { default NONE; }", "yes", "yes"),
    ("server", "set $msie 1; set $ssl_cipher x;", "yes", "yes"),
    ("server", "set $uri /x;", "no", 'no: the duplicate "uri" variable'),
    ("http", "resolver localhost:5353 valid=10s;", "yes", "yes"),
    ("http", "resolver no.such.host.invalid;", "no", 'no: host not found in resolver "no.such.host.invalid"'),
]


def twice():
    with open(os.path.join(os.path.dirname(__file__), "twice.txt")) as table:
        for line in table:
            if not line.startswith("#"):
                context, first, second, once, again = (cell.strip() for cell in line.split(" | "))
                yield pytest.param(context, first, second or first, once, again, id=f"{context} {first} {second}".strip())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("verdicts")
    os.mkdir(made / "logs")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3",
                    "-subj", "/CN=a", "-keyout", made / "k.pem", "-out", made / "c.pem"], check=True, capture_output=True, timeout=60)
    (made / "t.key").write_bytes(os.urandom(80))
    (made / "pw").write_text("x\n")
    return made


def has_the_version():
    if not NGINX:
        return False
    shown = subprocess.run([NGINX, "-v"], capture_output=True, text=True, timeout=PATIENCE).stderr
    return f"/{VERSION}" in shown


def verdict(binary, folder, context, *lines):
    """yes or no, and what was said. `events` is there but where the lines bring their own."""
    before, after = AROUND[context]
    if context == "main" and re.search(r"^(events|http) ", lines[0]):
        before = "" if lines[0].startswith("events") else before
    (folder / "x.conf").write_text(before + "\n".join(lines) + after)
    ran = subprocess.run([binary, "-t", "-p", f"{folder}/", "-c", "x.conf", "-e", "stderr"],
                         capture_output=True, text=True, timeout=PATIENCE)
    return "yes" if ran.returncode == 0 else "no", ran.stderr


@pytest.mark.parametrize("context, first, second, once, again", twice())
def test_once_and_twice(folder, context, first, second, once, again):
    assert verdict(BINARY, folder, context, first)[0] == once
    assert verdict(BINARY, folder, context, first, second)[0] == again


@pytest.mark.parametrize("context, lines, nginx, limpet", VERDICTS)
def test_verdicts(folder, context, lines, nginx, limpet):
    expected, _, why = limpet.partition(": ")
    said, text = verdict(BINARY, folder, context, lines)
    assert said == expected, text
    assert why in text


@pytest.mark.skipif(not has_the_version(), reason=f"nginx {VERSION} is not installed")
def test_the_tables_are_right_about_nginx(folder):
    wrong = []
    for parameters in twice():
        context, first, second, once, again = parameters.values
        if (verdict(NGINX, folder, context, first)[0], verdict(NGINX, folder, context, first, second)[0]) != (once, again):
            wrong.append(parameters.id)
    for context, lines, nginx, _ in VERDICTS:
        if verdict(NGINX, folder, context, lines)[0] != nginx:
            wrong.append(f"{context} {lines}")
    assert not wrong
