"""CONFIGS item 6: which server a client gets by the country of its address; and a database that is replaced or damaged."""
import json
import os
import re
import signal
import time

import pytest

import mmdb
from binaries import Binaries
from client import get
from daemon import Limpet
from waiting import wait_until

NETWORKS = {"192.0.2.0/24": mmdb.country("US", "United States", subdivisions=[{"iso_code": "CA"}], location={"latitude": -37.75}),
            "198.51.100.0/24": mmdb.country("DE", "Germany"), "2001:db8::/32": mmdb.country("JP", "Japan"),
            "127.0.0.0/8": mmdb.country("XX", "Loopback")}

# As in CONFIGS.md, but for where things are.
CONFIG = """
worker_processes 2;
events { }
http {
    geoip2 {dir}/city.mmdb { $geoip2_country country iso_code; }
    map $geoip2_country $region { default eu; US us; }
    upstream regional { server 127.0.0.1:{eu} route=eu; server 127.0.0.1:{us} route=us; sticky route $region; }
    geoip2_proxy 127.0.0.1;
    server { listen {port}; location / { proxy_pass http://regional; } }
}
"""


def started(config, networks=NETWORKS, **values):
    limpet = Limpet(config, start=False, **values)
    mmdb.write(limpet.path("city.mmdb"), networks)
    limpet.start()
    return limpet


def ask(limpet, address, path="/", name="X-Forwarded-For"):
    return get(limpet.port, path, [(name, address)])


def test_the_country_names_the_server(origins):
    eu, us = origins("eu", "us")
    with started(CONFIG, eu=eu.port, us=us.port) as limpet:
        assert {ask(limpet, "192.0.2.9").text for _ in range(6)} == {"us"}
        assert {ask(limpet, "198.51.100.9").text for _ in range(6)} == {"eu"}
        assert {get(limpet.port).text for _ in range(6)} == {"eu"}


VALUES = """
events { }
http {
    geoip2 {dir}/city.mmdb {
        auto_reload 1s;
        $code default=none country iso_code;
        $name country names en;
        $region "default=no region" subdivisions 0 iso_code;
        $latitude location latitude;
        $other default=none source=$arg_ip country iso_code;
        $built metadata build_epoch;
        $checked metadata last_check;
        $changed metadata last_change;
    }
    geoip2 {dir}/second.mmdb { $second country iso_code; }
    geoip2_proxy 127.0.0.0/8;
    geoip2_proxy 10.0.0.0/8;
    geoip2_proxy_recursive {recursive};
    map $code $language { US en; DE de; default ""; }
    limit_req_zone $code zone=codes:1m rate=1r/m;
    log_format places "$code $second";
    upstream hashed { server 127.0.0.1:{a}; server 127.0.0.1:{b}; hash $code; }
    server {
        listen {port};
        set_real_ip_from 127.0.0.1;
        access_log {dir}/access.log places;
        location /status/ { api /status/; }
        location /metrics { prometheus; }
        location /hash { proxy_pass http://hashed; }
        location /limit { limit_req zone=codes; try_files /none @limited; }
        location @limited { return 200 ok; }
        location / { return 200 "$code|$name|$region|$latitude|$other|$language|$second"; }
        location /meta { return 200 "$built $checked $changed"; }
        location /real { return 200 "$remote_addr $code"; }
    }
}
"""


@pytest.fixture
def values(origins):
    a, b = origins("a", "b")
    limpet = Limpet(VALUES, workers=2, start=False, a=a.port, b=b.port, recursive="on")
    mmdb.write(limpet.path("city.mmdb"), NETWORKS)
    mmdb.write(limpet.path("second.mmdb"), {"192.0.2.0/24": mmdb.country("Second")}, ip_version=4, record_size=24)
    with limpet:
        limpet.start()
        yield limpet


def test_what_variables_say(values):
    assert ask(values, "192.0.2.9").text == "US|United States|CA|-37.75000|none|en|Second"
    assert ask(values, "2001:db8::9").text == "JP|Japan|no region||none||"
    assert ask(values, "203.0.113.1", "/?ip=198.51.100.3").text == "none||no region||DE||"
    assert ask(values, "203.0.113.1", "/?ip=nonsense").text == "none||no region||none||"
    assert get(values.port).text == "XX|Loopback|no region||none||"


def test_proxies_that_are_believed(values):
    assert ask(values, "192.0.2.9, 10.1.2.3").text.startswith("US|"), "the one behind a proxy of ours"
    assert ask(values, "192.0.2.9, 203.0.113.7").text.startswith("none|"), "a stranger's word is not believed"
    assert ask(values, "garbage").text.startswith("XX|")
    assert ask(values, "192.0.2.9", "/real", "X-Real-IP").text == "192.0.2.9 US", "what realip has found is looked up"


def test_only_the_nearest_without_recursion(origins):
    a, b = origins("a", "b")
    limpet = Limpet(VALUES, start=False, a=a.port, b=b.port, recursive="off")
    for name in ("city.mmdb", "second.mmdb"):
        mmdb.write(limpet.path(name), NETWORKS)
    with limpet:
        limpet.start()
        assert ask(limpet, "192.0.2.9").text.startswith("US|")
        assert ask(limpet, "192.0.2.9, 10.1.2.3").text.startswith("none|")


def test_they_are_keys_of_hash_limits_and_logs(values):
    assert len({ask(values, f"192.0.2.{i}", "/hash").text for i in range(1, 9)}) == 1
    assert [ask(values, f"198.51.100.{i}", "/limit").status for i in (1, 2)] == [200, 503]
    assert ask(values, "192.0.2.1", "/limit").status == 200
    with open(values.path("access.log")) as log:
        assert "US Second\n" in log.read()


def test_explain_knows_the_country(origins):
    eu, us = origins("eu", "us")
    config = CONFIG.replace("server { listen", "server { location /status/ { api /status/; } listen")
    with started(config, eu=eu.port, us=us.port) as limpet:
        said = get(limpet.port, "/status/explain?upstream=regional&client=192.0.2.5").text
        assert json.loads(said)["server"] == f"127.0.0.1:{us.port}"


def database(limpet, name="city.mmdb"):
    return json.loads(get(limpet.port, "/status/geoip2").text)[limpet.path(name)]


def metric(limpet, name):
    page = get(limpet.port, "/metrics").text
    return next(int(line.split()[-1]) for line in page.splitlines()
                if line.startswith(f"limpet_geoip2_{name}") and "city.mmdb" in line)


def everywhere(limpet, address, text):
    """So do all workers: many connections of their own."""
    return wait_until(lambda: all(ask(limpet, address).text.startswith(text) for _ in range(12)), f"{text} of all workers")


def test_a_replaced_file_is_read_again(values):
    before = database(values)
    assert before["state"] == "good" and before["build_epoch"] <= time.time() and before["auto_reload_ms"] == 1000
    workers = values.workers()
    for code in ("ZA", "ZB", "ZC"):  # each of the two copies in memory is used again
        mmdb.write(values.path("city.mmdb"), {"192.0.2.0/24": mmdb.country(code)})
        everywhere(values, "192.0.2.9", code)
    assert values.workers() == workers
    after = database(values)
    assert after["replaced"] == 3 and after["refused"] == 0 and after["last_change"] >= before["last_change"]
    assert len(values.log_lines("city.mmdb\" has been read again")) == 3, "one worker reads it for all"
    built, checked, changed = map(int, get(values.port, "/meta").text.split())
    assert (built, changed) == (after["build_epoch"], after["last_change"]) and checked >= changed
    assert metric(values, "replaced_total") == 3 and metric(values, "build_timestamp_seconds") == built


def test_a_damaged_file_leaves_what_was_read(values):
    path = values.path("city.mmdb")
    with open(path, "rb") as file:
        good = file.read()
    with open(path, "r+b") as file:  # the same file: a mapped one would end its readers
        file.truncate(300)
    values.wait_log(r"\[error\].*city.mmdb\" is no database of addresses.*read before is used on")
    everywhere(values, "192.0.2.9", "US")
    looked = database(values)["last_check"]
    wait_until(lambda: database(values)["last_check"] > looked + 1, "another look")
    assert len(values.log_lines("is no database")) == 1, "told once"
    assert "city.mmdb" in get(values.port, "/status/alerts").text
    assert database(values)["state"] == "refused" and metric(values, "good") == 0 and metric(values, "refused_total") == 1
    refused = len(values.log_lines("emerg"))
    values.kill(signal.SIGHUP)
    (line,) = values.wait_log(r"\[emerg\].*city.mmdb\" is no database")[refused:]
    assert "limpet.conf:4" in line
    everywhere(values, "192.0.2.9", "US")

    os.unlink(path)
    values.wait_log(r"\[error\].*open\(\) .*city.mmdb\" failed \(2: No such file or directory\); what was read")
    everywhere(values, "192.0.2.9", "US")
    with open(path, "wb") as file:
        file.write(good)
    values.wait_log("city.mmdb\" has been read again")
    wait_until(lambda: database(values)["state"] == "good", "the file to be good again")


def test_a_reload_reads_what_has_changed(values):
    mmdb.write(values.path("second.mmdb"), {"192.0.2.0/24": mmdb.country("Third")})  # which has no auto_reload
    assert ask(values, "192.0.2.9").text.endswith("|Second")
    built = database(values)
    values.reload()
    assert ask(values, "192.0.2.9").text.endswith("|Third")
    assert database(values)["last_change"] == built["last_change"], "what is the same is not read again"
    values.reload(VALUES.replace("$name country names en;", "$name country geoname_id;"))
    assert ask(values, "192.0.2.9").text.startswith(f"US|{sum(b'US')}|")


def test_a_new_binary_reads_it_too(values):
    with Binaries(values, workers=2) as both:
        both.upgrade()
        both.rest()
        assert ask(values, "192.0.2.9").text.startswith("US|")
        mmdb.write(values.path("city.mmdb"), {"192.0.2.0/24": mmdb.country("ZA")})
        everywhere(values, "192.0.2.9", "ZA")


BAD = [
    ("geoip2 {dir}/none.mmdb { $a country; }", r'open\(\) "\S+/none.mmdb" failed \(2: No such file or directory\) in \S+limpet.conf:2'),
    ("geoip2 {dir}/cut.mmdb { $a country; }", r'cut.mmdb" is no database of addresses: \S.* in \S+limpet.conf:2'),
    ("geoip2 {dir}/foreign.mmdb { $a country; }", r'no MaxMind DB file, or has lost its end in \S+limpet.conf:2'),
    ("geoip2 {dir} { $a country; }", r"it is no regular file in \S+limpet.conf:2"),
    ("geoip2 {dir}/good.mmdb { $a; }", 'has no path, such as "country iso_code"'),
    ("geoip2 {dir}/good.mmdb { $a default=x; }", 'has no path, such as "country iso_code"'),
    ("geoip2 {dir}/good.mmdb { $a source=country x; }", r'invalid parameter "source=country": one variable'),
    ("geoip2 {dir}/good.mmdb { $a sauce=$b x; }", r'invalid parameter "sauce=\$b": default=TEXT and source='),
    ("geoip2 {dir}/good.mmdb { $a source=$none x; }", 'unknown "none" variable'),
    ("geoip2 {dir}/good.mmdb { $a metadata epoch; }", "takes one of build_epoch, last_check, last_change"),
    ("geoip2 {dir}/good.mmdb { auto_reload soon; }", 'invalid value "?soon'),
    ("geoip2 {dir}/good.mmdb { auto_relaod 5m; }", 'unknown "auto_relaod" in geoip2'),
    ("geoip2 {dir}/good.mmdb { $a x; } geoip2 {dir}/good.mmdb { $b x; }", "duplicate geoip2 database"),
    ("geoip2_proxy 10.0.0.0/99;", 'invalid network "10.0.0.0/99"'),
    ("geoip2 {dir}/good.mmdb { $host x; }", 'the duplicate "host" variable'),
]


def test_what_is_wrong_is_said():
    limpet = Limpet("", start=False)
    with limpet:
        mmdb.write(limpet.path("good.mmdb"), NETWORKS)
        with open(limpet.path("good.mmdb"), "rb") as file:
            good = file.read()
        for name, data in (("cut", good[:len(good) // 3] + good[len(good) // 2:]), ("foreign", b"x" * 5000)):
            with open(limpet.path(name + ".mmdb"), "wb") as file:
                file.write(data)
        for text, wanted in BAD:
            limpet.write("events { } http {\n" + text + "\nserver { listen {port}; } }")
            done = limpet.run("-t")
            assert done.returncode == 1, (text, done.stderr)
            assert re.search(wanted, done.stderr), (text, done.stderr)
            assert re.search(r"limpet.conf:\d", done.stderr), done.stderr
