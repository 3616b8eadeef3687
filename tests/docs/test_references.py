"""References have what limpet has, no more and no less."""
import fnmatch
import json
import os
import re
import subprocess

import pytest

import pages
from client import get
from daemon import BINARY, Limpet
from waiting import wait_until


def source(path):
    return pages.read(path)


def words_of_first_cells(page, begin):
    """What stands in backticks in the first cell of the rows."""
    return [word for row in pages.tables(page) for word in re.findall(r"`(" + begin + r"[^`]*)`", row[0])]


def test_variables_are_those_of_the_table():
    text = source("conf/variables.cc")
    builtin = set(re.findall(r'^    \{"(\w+)", Builtin::', text, re.MULTILINE))
    families = set(re.findall(r'^    \{"(\w+_)", VariableKind::', text, re.MULTILINE))
    listed = [word[1:] for word in words_of_first_cells("docs/variables.md", r"\$")]
    assert len(listed) == len(set(listed)), "a variable is listed twice"
    found = {word for word in listed if not word[0].isdigit()}
    assert found == builtin | {family + "NAME" for family in families}


def test_every_word_of_sticky_status_is_explained():
    names = re.search(r"std::string_view Name\(StickyStatus status\).*?\{(.*?)\};", source("worker/sticky/sticky.cc"), re.DOTALL)[1]
    words = set(re.findall(r'"(\w+)"', names))
    assert len(words) > 10 and words == set(words_of_first_cells("docs/sessions.md", "")) & words
    explained = re.search(r"## How a request stuck(.*)", pages.read("docs/sessions.md"), re.DOTALL)[1]
    assert words == set(re.findall(r"^\| `(\w+)` \|", explained, re.MULTILINE))


def test_every_parameter_of_sticky_is_explained():
    text = source("conf/sticky_directives.cc") + source("conf/session_zone.cc")
    known = set(re.findall(r'(?:name|text) == "([a-z_]+)"', text)) | set(re.findall(r'After\([\w\[\]().]+, "(\w+)="\)', text))
    for names in re.findall(r"to_array<std::string_view>\(\{([^}]*)\}", text):
        known |= set(re.findall(r'"([a-z_]+)"', names))
    known -= {"sync", "max", "on", "off", "tag", "learn", "route", "cookie"}
    page = pages.read("docs/sticky.md")
    assert {"samesite", "norefresh", "fill_limit_crit_log", "delete", "confirm", "on_busy", "wait"} <= known
    assert [name for name in sorted(known) if not re.search(rf"`[^`]*\b{name}\b", page)] == []


def directives():
    """Names of the tables, but for those that do nothing here."""
    text = source("conf/DIRECTIVES.md")
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([^|]*(?:\\\|[^|]*)*) \|$", text, re.MULTILINE)
    return {name for name, doc in rows if not doc.startswith(("accepted", "obsolete", "refused"))}


def test_every_directive_has_an_example():
    shown = "".join(block.text for block in pages.blocks("docs/directives.md"))
    shown = re.sub(r"#.*", "", shown)
    used = set(re.findall(r"(?:^|[;{}])\s*(\w+)(?=[\s;{])", shown, re.MULTILINE))
    assert sorted(directives() - used - {"http"}) == []  # which is around most of them


# Where limpet's own literals are.
SOURCES = ("base", "conf", "master", "proto", "shm", "worker")


def literals():
    text = []
    for folder in SOURCES:
        for path, _, names in os.walk(os.path.join(pages.ROOT, folder)):
            for name in names:
                if name.endswith((".cc", ".h")):
                    with open(os.path.join(path, name), encoding="utf-8") as file:
                        text.append(re.sub(r'"\s*\n\s*"', "", file.read()))
    return "\n".join(text).replace('\\"', '"')


def test_log_lines_are_limpets():
    all_literals = literals()
    rows = [row[0] for row in pages.tables("docs/logs.md") if row[0].startswith("`")]
    lines = [re.fullmatch(r"`(.*)`", cell)[1].replace("\\|", "|") for cell in rows]
    assert len(lines) > 25
    missing = []
    for line in lines:
        pieces = [piece for piece in re.split(r"…|\b[A-Z_]{2,}\b(?!')|\bN\b", line) if len(piece.strip()) > 5]
        assert pieces, line
        missing += [(line, piece) for piece in pieces if piece.strip() not in all_literals]
    assert missing == []


METRICS_SITE = """
worker_processes 1;
events { }
http {
    session_store shared { server 127.0.0.1:{closed}; key_file {dir}/key; connect_timeout 1s; }
    geoip2 {addresses} { $country country iso_code; }
    jwt_claim $user $http_authorization sub key_file={dir}/key;
    limit_req_zone $binary_remote_addr zone=requests:1m rate=1000r/s;
    limit_conn_zone $binary_remote_addr zone=connections:1m;
    resolver 127.0.0.1 status_zone=names;
    upstream app {
        zone app 256k;
        server 127.0.0.1:{port};
        server 127.0.0.1:{closed} drain=1h;
        sticky learn create=$upstream_cookie_s lookup=$cookie_s zone=sessions:1m store=shared;
    }
    server {
        listen {port};
        status_zone main;
        location /app { status_zone app; proxy_pass http://app/; }
        location / { return 200; }
        location /metrics { prometheus; }
    }
    server {
        listen {tls} ssl;
        status_zone main;
        server_name on.test;
        ssl_certificate {dir}/on.test.crt;
        ssl_certificate_key {dir}/on.test.key;
    }
}
"""


def scrape():
    from certificates import Authority
    from ports import free_port
    addresses = os.path.join(pages.ROOT, "tests/fuzz/seeds/geo/v6_28.mmdb")
    with Limpet(METRICS_SITE, closed=free_port(), tls=free_port(), addresses=addresses, start=False) as limpet:
        Authority(limpet.path("")).issue("on.test")
        with open(limpet.path("key"), "w") as key:
            key.write("as good as any other: a key of 32 bytes")
        os.chmod(limpet.path("key"), 0o600)
        limpet.start()
        assert wait_until(lambda: get(limpet.port, "/app").status == 200, "an answer")
        return get(limpet.port, "/metrics").text


def metric_rows():
    """Name, type, labels and help of what a scrape has."""
    text, rows = scrape(), []
    for name, helped, kind in re.findall(r"^# HELP (\S+) (.*)\n# TYPE \S+ (\w+)$", text, re.MULTILINE):
        labels = sorted({label for sample in re.findall(rf"^{name}(?:_bucket|_sum|_count)?{{(.*)}} ", text, re.MULTILINE)
                         for label in re.findall(r'(\w+)="', sample)})
        rows.append([f"`{name}`", kind, " ".join(f"`{label}`" for label in labels), helped.replace("|", "\\|")])
    return rows


def test_metrics_are_those_of_a_scrape():
    """UPDATE_DOCS=1 writes the table of docs/metrics.md again."""
    rows = metric_rows()
    assert len(rows) > 40
    table = "".join(f"| {' | '.join(row)} |\n".replace("|  |", "| |") for row in rows)
    begin, end = "| metric | type | labels | |\n|---|---|---|---|\n", "\n<!-- end -->"
    page = pages.read("docs/metrics.md")
    head, rest = page.split(begin)
    wanted = head + begin + table + end + rest.split(end)[1]
    if os.environ.get("UPDATE_DOCS"):
        with open(os.path.join(pages.ROOT, "docs/metrics.md"), "w") as out:
            out.write(wanted)
    assert pages.read("docs/metrics.md") == wanted, "UPDATE_DOCS=1 writes it again"


@pytest.mark.parametrize("page", ["docs/metrics.md", "docs/alerts.md", "packaging/ALERTS.md"])
def test_metrics_that_are_mentioned_exist(page):
    names = {row[0].strip("`") for row in pages.tables("docs/metrics.md")}
    mentioned = set(re.findall(r"\blimpet_[a-z_]+", pages.read(page)))
    bases = {name: re.sub(r"_(bucket|sum|count)$", "", name) for name in mentioned}
    assert [name for name, base in bases.items() if not any(word in known for word in (name, base) for known in names)] == []


def test_exit_codes(tmp_path):
    codes = {row[0] for row in pages.tables("docs/operating.md") if row[0].isdigit()}
    said = set()
    (tmp_path / "logs").mkdir()
    (tmp_path / "right.conf").write_text("events { }\n")
    (tmp_path / "wrong.conf").write_text("event { }\n")
    for arguments in (["-v"], ["-h"], ["-t", "-c", "right.conf"], ["-t", "-c", "wrong.conf"], ["-x"], ["-s", "quit", "-c", "right.conf"],
                      ["-s", "nonsense"], ["-c", "right.conf", "status"], ["nonsense"], ["drain"], ["drain", "--help"]):
        done = subprocess.run([BINARY, "-p", str(tmp_path), "-e", "stderr", *arguments], capture_output=True, text=True)
        said.add(str(done.returncode))
        works = arguments[0] in ("-v", "-h") or arguments[-1] == "--help" or arguments[0] == "-t" and arguments[-1] == "right.conf"
        wanted = 0 if works else 3 if arguments[-1] == "status" else 1
        assert done.returncode == wanted, (arguments, done.stderr)
    assert said == codes


def test_the_shipped_log_formats_are_json_where_they_say_so():
    for block in pages.blocks("docs/logs.md"):
        for name, text in re.findall(r"log_format (\w+) escape=json '(.*?)';", block.text, re.DOTALL):
            joined = re.sub(r"'\s*'", "", text)
            assert json.loads(re.sub(r"\$\w+", "1", joined)), name


def test_each_log_that_is_suggested_is_rotated():
    rotated = pages.read("packaging/logrotate/limpet").split("{")[0].split()
    texts = [pages.read(path) for path in [*pages.pages(), "packaging/limpet.conf", "packaging/app.conf"]]
    named = {name for text in texts for name in re.findall(r"/var/log/limpet/[\w.-]*\w", text)}
    assert "/var/log/limpet/access.log" in named
    assert [name for name in named if not any(fnmatch.fnmatch(name, pattern) for pattern in rotated)] == []
