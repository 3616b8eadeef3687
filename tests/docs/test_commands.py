"""The commands of the pages run as they stand, beside a limpet that has what they name; those that would change the machine are
looked at: their files and options must be there."""
import os
import pathlib
import re
import subprocess
import tempfile

import pytest

import pages
import shell
from daemon import BINARY

# A limpet as the pages have it: upstream `app` with two servers of its own, zone `sessions`, status on 8090.
SITE = """
worker_processes 2;
error_log error.log notice;
pid limpet.pid;
events { }
http {
    {formats}
    upstream app {
        zone app 256k;
        server 127.0.0.1:9001 route=a;
        server 127.0.0.1:9002 route=b;
        least_sessions;
        sticky learn create=$upstream_cookie_session lookup=$cookie_session zone=sessions:1m timeout=1h;
    }
    map $cookie_session $given { "" "session=KEY"; }
    server { listen 127.0.0.1:8080; location / { proxy_pass http://app; } }
    server { listen 127.0.0.1:9001; location / { add_header Set-Cookie $given; return 200 "one\\n"; } }
    server { listen 127.0.0.1:9002; location / { add_header Set-Cookie $given; return 200 "two\\n"; } }
    server {
        listen 127.0.0.1:8090;
        location /status/ { api /status/ write=on; }
        location /dashboard/ { dashboard /status/; }
        location /metrics { prometheus; }
        location = /healthz { return 200; }
    }
}
"""

# Run beside it. All others are looked at; each has its reason.
RUN = {"ask", "down", "drain", "roll", "stores", "sessions", "commands", "signals", "alerts", "key", "haproxy", "api", "metrics", "log"}
ELSEWHERE = {
    "first": "test_readme.py",
    "install": "scripts/package --check, where it may install",
    "docker": "scripts/check-images",
    "kubernetes": "scripts/check-manifests",
    "build": "scripts/test",
    "nginx": "MIGRATING.md is for a machine with nginx",
    "helm": "scripts/check-manifests",
    "repeat": "long measurements",
}

BLOCKS = [block for page in pages.guides() for block in pages.blocks(page) if block.language == "sh"]


def expected_after(block):
    """The `text` block that follows, if one does."""
    all_of_page = pages.blocks(block.page)
    at = next(i for i, other in enumerate(all_of_page) if other.line == block.line)
    following = all_of_page[at + 1] if at + 1 < len(all_of_page) else None
    return following.text if following and following.language == "text" else None


@pytest.fixture
def folder():
    """Which workers may enter: they are somebody else."""
    with tempfile.TemporaryDirectory(prefix="limpet-docs-") as made:
        os.chmod(made, 0o755)
        yield pathlib.Path(made)


@pytest.mark.skipif(shell.own_network() is None, reason="no network of its own: that takes root")
@pytest.mark.parametrize("block", [block for block in BLOCKS if block.kind in RUN], ids=lambda block: block.where)
def test_it_runs(folder, block):
    [formats] = [other.text for other in pages.blocks("docs/logs.md") if "log_format" in other.text]
    formats = formats.replace("/var/log/limpet/", f"{folder}/").replace("buffer=64k flush=1s", "")
    (folder / "limpet.conf").write_text(SITE.replace("{formats}", formats))
    (folder / "logs").mkdir()
    tools = folder / "tools"
    tools.mkdir()
    # As an installed limpet: it knows where its configuration is.
    (tools / "limpet").write_text(f'#!/bin/sh\nexec {os.path.abspath(BINARY)} -p {folder}/ -c limpet.conf "$@"\n')
    (tools / "limpet").chmod(0o755)
    for name in ("packaging", "scripts"):
        (folder / name).symlink_to(f"{pages.ROOT}/{name}")
    before = """limpet
        until curl -sf -o /dev/null localhost:8090/healthz; do sleep 0.05; done
        curl -sf -o /dev/null localhost:8080/
        until [ -s access.log ]; do sleep 0.05; done
        trap 'limpet -s stop 2>/dev/null; while [ -e limpet.pid ]; do sleep 0.05; done' EXIT"""
    text = re.sub(r"^(\s*)curl -s ", r"\1curl -sS --fail-with-body ", block.text, flags=re.MULTILINE)
    printed = shell.run(text.replace("/var/log/limpet/", f"{folder}/"), str(folder), before)
    expected = expected_after(block)
    assert expected is None or shell.is_printed(expected, printed), printed


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.kind not in RUN], ids=lambda block: block.where)
def test_what_is_not_run_names_what_is_there(block):
    assert block.kind in ELSEWHERE, f"{block.where}: nobody runs {block.kind}"
    assert shell.wrong_files(block.text) == []
    for command in shell.commands(block.text):
        words = command.split()
        program = next(word for word in words if "=" not in word and word != "sudo")
        if program.startswith("scripts/"):
            with open(f"{pages.ROOT}/{program}") as script:
                source = script.read()
            for option in [word for word in words if word.startswith("--")]:
                assert option.split("=")[0] in source, f"{block.where}: {program} has no {option}"


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.where)
def test_its_form_is_right(block):
    done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
