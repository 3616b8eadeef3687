"""Pages in headless Chromium, through playwright-core, which scripts/browser installs into the build folder."""
import json
import os
import shutil
import subprocess

from daemon import BINARY

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.dirname(os.path.abspath(BINARY))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def install():
    """Once for a build folder."""
    script = os.path.join(HERE, "..", "..", "scripts", "browser")
    subprocess.run([script, BUILD], check=True, stdout=subprocess.DEVNULL, timeout=110)


def drive(url, script, complaints=(), **options):
    """Runs the body of an async function on the page; returns what it returns. See browser.mjs.

    `complaints`: texts that the console may show; anything else there is a failure.
    """
    result = subprocess.run(["node", os.path.join(HERE, "browser.mjs"), os.path.join(BUILD, "node"), CHROMIUM, url,
                             json.dumps(options)], input=script, capture_output=True, text=True, timeout=100)
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    unexpected = [c for c in facts["complaints"] if not any(text in c for text in complaints)]
    assert not unexpected, unexpected
    origin = "/".join(url.split("/")[:3]) + "/"
    outside = [r for r in facts["requests"] if not r.startswith((origin, "data:"))]
    assert not outside, f"the page asked others: {outside}"
    return facts["result"], facts
