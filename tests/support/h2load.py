"""Load by h2load: many requests at once over HTTP/2, where it is installed."""
import re
import shutil
import subprocess

CONNECTIONS, STREAMS = 4, 10
AT_ONCE = CONNECTIONS * STREAMS  # requests


def is_installed():
    return shutil.which("h2load") is not None


class H2load:
    """One run. It ends with its requests, or when all connections have been told to go (GOAWAY): it makes no others.

    Requests that it has not sent by then cannot be told from those that got no answer: their server has to say how many it
    has seen. `good` answers were 2xx, `bad` ones were not.
    """

    def __init__(self, port, path="/", cookie=None, requests=20_000):
        self.good = self.bad = 0
        self.output = ""
        self._process = subprocess.Popen(
            ["h2load", "-n", str(requests), "-c", str(CONNECTIONS), "-m", str(STREAMS),
             *(["-H", f"cookie: {cookie}"] if cookie else []), f"http://127.0.0.1:{port}{path}"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def wait(self, patience=120):
        self.output, _ = self._process.communicate(timeout=patience)
        codes = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", self.output)
        assert codes, self.output
        self.good, *others = map(int, codes.groups())
        self.bad = sum(others)
