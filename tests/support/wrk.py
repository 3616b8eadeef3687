"""Load by wrk, with the cookies of sessions: many requests at once, and every answer is looked at."""
import json
import os
import shutil
import signal
import subprocess
import tempfile

from waiting import wait_until

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "wrk.lua")
LONGEST = 120  # seconds, if nobody ends it


def is_installed():
    return shutil.which("wrk") is not None


class Wrk:
    """`with Wrk(port, sessions, served) as wrk: …; wrk.more()`: leaving fails if a request failed or an answer was wrong.

    `sessions` are values of the cookie `cookie`; each begins with the one-letter name of its server, which answers with that
    name and repeats the session in a field X-Session. `served()` counts the answers so far.
    """

    def __init__(self, port, sessions, served, cookie="s", connections=16):
        self.served = served
        self._sessions = tempfile.NamedTemporaryFile("w", prefix="limpet-wrk-")
        self._sessions.write("\n".join(sessions) + "\n")
        self._sessions.flush()
        self._command = ["wrk", "-t2", f"-c{connections}", f"-d{LONGEST}s", "--timeout", "20s", "-s", SCRIPT,
                         f"http://127.0.0.1:{port}/", "--", cookie, self._sessions.name]
        self._process = None
        self.result = {}

    def more(self, requests=200):
        """Waits for so many further answers."""
        wanted = self.served() + requests
        wait_until(lambda: self.served() >= wanted or self._process.poll() is not None, f"{requests} requests")
        assert self._process.poll() is None, "wrk has ended"

    def __enter__(self):
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return self

    def __exit__(self, kind, *_):
        self._process.send_signal(signal.SIGINT)  # it ends what it does and reports
        output, _ = self._process.communicate(timeout=30)
        self._sessions.close()
        lines = [line for line in output.splitlines() if line.startswith("{")]
        if kind is not None:
            return
        assert lines, output
        self.result = json.loads(lines[-1])
        bad = {name: value for name, value in self.result.items() if name not in ("answers", "first") and value}
        assert self.result["answers"] and not bad, self.result
