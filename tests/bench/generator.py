"""The load of HTTP/1 requests, closed or open: load_generator, which scripts/bench builds."""
import json
import os
import subprocess

from surroundings import LOAD_CPU

BUILD = os.environ.get("LIMPET_BENCH_BUILD", os.path.join(os.path.dirname(__file__), "..", "..", "build-bench"))
GENERATOR = os.path.abspath(os.path.join(BUILD, "load_generator"))
RELAY = os.path.abspath(os.path.join(BUILD, "bare_relay"))


def words(options):
    """connections=64, tls=True, value=("a", "b"): as load_generator reads them."""
    for name, value in options.items():
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if one is True:
                yield f"--{name.replace('_', '-')}"
            elif one not in (False, None):
                yield from (f"--{name.replace('_', '-')}", str(one))


class Generator:
    """`with Generator(port, rate=…) as load`: it is warm, and being measured; its connections are held until the end."""

    def __init__(self, port, **options):
        self.process = subprocess.Popen(["taskset", "-c", str(LOAD_CPU), GENERATOR, "--port", str(port), *words(options)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        if self.process.stdout.readline() != "begin\n":
            self.process.wait()
            raise AssertionError(f"load_generator ended with {self.process.returncode}")
        return self

    def figures(self):
        """Waits for them; no request may have failed."""
        line = self.process.stdout.readline()
        assert line, f"load_generator ended with {self.process.wait()}"
        figures = json.loads(line)
        assert figures["failed"] == 0 and figures["answers"] > 0, figures
        return figures

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(30)


def measured(proxy, port, **options):
    """The load's figures, with microseconds of the proxy's processor time a request (`us`) and its share of one (`busy`)."""
    with Generator(port, **options) as load:
        before = proxy.seconds()
        figures = load.figures()
        spent = proxy.seconds() - before
    return {**figures, "us": spent / figures["answers"] * 1e6, "busy": spent / figures["seconds"],
            "rate": figures["answers"] / figures["seconds"]}
