"""limpet.conf(5) is made of the tables and has no mistakes of form; limpet(8) has the options and commands of the help."""
import os
import re
import shutil
import subprocess

import pytest

import pages
from daemon import BINARY


def made():
    return subprocess.run(["/usr/bin/python3", "-B", os.path.join(pages.ROOT, "packaging/man/conf_page.py")], capture_output=True,
                          text=True, check=True).stdout


def text_of(page):
    done = subprocess.run(["groff", "-man", "-ww", "-Tascii", "-P-cbou"], input=page, capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout


groff = pytest.mark.skipif(shutil.which("groff") is None, reason="groff is missing")


@groff
def test_every_directive_and_variable_is_in_limpet_conf():
    text = text_of(made().replace("…", "..."))
    names = re.findall(r"^\| `(\w+)` \|", pages.read("conf/DIRECTIVES.md"), re.MULTILINE)
    variables = re.findall(r"^\| `(\$\w+)`", pages.read("docs/variables.md"), re.MULTILINE)
    assert len(names) > 300 and len(variables) > 60
    for name in names:
        assert re.search(rf"^ +{name}( +(\{{ \}}|\S.*))?$", text, re.MULTILINE), name
    for name in variables:
        assert name in text, name


def test_a_default_and_contexts_are_told():
    page = made()
    assert re.search(r"^\\fBkeepalive_timeout\\fR\n.*\n\.br\nContexts: http, server, location\. Default: \\fB75s\\fR\.$", page, re.MULTILINE)


@groff
def test_every_option_and_signal_is_in_limpet_8():
    text = text_of(pages.read("packaging/man/limpet.8"))
    help_ = subprocess.run([BINARY, "-h"], capture_output=True, text=True).stderr
    options = re.findall(r"^  (-\S+?)(?:,\S+)?\s", help_, re.MULTILINE)
    assert len(options) > 8
    for option in options:
        assert option in text, option
    for row in pages.tables("docs/operating.md"):
        for signal in re.findall(r"\b(?:TERM|INT|QUIT|HUP|USR1|USR2|WINCH)\b", row[0]):
            assert signal in text, signal
