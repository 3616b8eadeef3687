"""Commands of a page, run as they stand: in a network of their own, so that every port is free and nobody else is asked."""
import functools
import os
import re
import shutil
import subprocess

from daemon import BINARY
from pages import ROOT

# What would change the machine, or is not on it: looked at, not done.
STAND_INS = ("sudo", "apt-get", "docker", "docker-compose", "kubectl", "systemctl", "journalctl", "dpkg", "helm")


@functools.cache
def own_network():
    """The command that gives one, or None where that is not allowed."""
    command = ["unshare", "--net", "--pid", "--fork", "--kill-child"]
    if os.geteuid() != 0 or not shutil.which("ip"):
        return None
    tried = subprocess.run([*command, "ip", "link", "set", "lo", "up"], capture_output=True)
    return command if tried.returncode == 0 else None


def run(text, folder, before="", timeout=60):
    """Runs a block in `folder` by bash, which ends at the first command that fails; returns what it has printed."""
    tools = os.path.join(folder, "tools")
    os.makedirs(tools, exist_ok=True)
    limpet = os.path.join(tools, "limpet")
    if not os.path.lexists(limpet):
        os.symlink(os.path.abspath(BINARY), limpet)
    script = f"set -eo pipefail; export PATH={tools}:$PATH; ip link set lo up; cd {folder}; {before}\n{text}"
    done = subprocess.run(["timeout", str(timeout), *own_network(), "bash", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=timeout + 10, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{done.returncode} after\n{done.stdout}"
    return done.stdout


def commands(text):
    """The lines of a block, those that go on joined, without comments."""
    joined = re.sub(r"\\\n\s*", " ", text)
    return [line for line in (re.sub(r"(^|\s+)# .*$", "", line).strip() for line in joined.split("\n")) if line]


def is_printed(expected, printed):
    """Whether lines with `…` for anything are all in what was printed, in this order."""
    pattern = ".*?".join(re.escape(line.strip()).replace("…", r"[^\n]*?") + r"\s*?$" for line in expected.strip().split("\n"))
    return re.search("^" + pattern, re.sub(r"[ \t]+", " ", printed), re.MULTILINE | re.DOTALL) is not None


def wrong_files(text):
    """Paths of the repository that commands name and that are not there."""
    named = re.findall(r"(?<![\w/.-])(?:\./)?((?:scripts|packaging|tests|conf|docs)/[\w./-]+)", text)
    return [path for path in named if "build/" not in path and not os.path.exists(os.path.join(ROOT, path))]
