"""The first page: what a newcomer does first, as it stands there."""
import re
import socket

import pytest

import pages
import shell

pytestmark = pytest.mark.skipif(shell.own_network() is None, reason="no network of its own: that takes root")


def block(kind):
    [found] = [block for block in pages.blocks("README.md") if block.kind == kind]
    return found.text


def test_the_first_sticky_request(tmp_path):
    (tmp_path / "first.conf").write_text(block("first.conf"))
    text = block("first")
    one, several = [line for line in shell.commands(text) if line.startswith("curl")]
    # It forks and says nothing: the page's reader types the next line a moment later, this does not.
    ready = "until curl -so /dev/null localhost:9001; do sleep 0.05; done; sleep 0.2"
    printed = shell.run(re.sub(r"^(limpet +-p \. -c first.conf -e stderr .*)$", rf"\1\n{ready}", text, flags=re.MULTILINE), tmp_path)
    assert "holds 37440 sessions" in printed
    answers = re.findall(r"^server (?:one|two)$", printed, re.MULTILINE)
    assert len(answers) == 8, printed
    assert len(set(answers[:4])) == 1, f"{one}: {answers[:4]}"
    assert set(answers[4:]) == {"server one", "server two"}, f"{several}: {answers[4:]}"
    assert re.search(r"^sessions +\d", printed, re.MULTILINE), "the zone's line"


def test_ports_of_the_first_configuration_are_those_of_its_commands():
    ports = set(re.findall(r"listen 127\.0\.0\.1:(\d+);", block("first.conf")))
    assert set(re.findall(r"localhost:(\d+)", block("first"))) <= ports
    assert socket.gethostbyname("localhost") == "127.0.0.1"
