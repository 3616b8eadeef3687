"""A recipe's configuration as it stands in its file, before servers of a test's own."""
import json
import os
import re
import signal

from daemon import Limpet
from waiting import wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
ADDRESS = re.compile(r"\b10\.0\.0\.\d+:\d+\b")  # of a server, in all recipes


def names():
    """Of all recipes."""
    return sorted(name[:-5] for name in os.listdir(HERE) if name.endswith(".conf"))


def text(name):
    with open(os.path.join(HERE, name + ".conf")) as file:
        return file.read()


def addresses(config):
    """The servers' addresses, in order."""
    return list(dict.fromkeys(ADDRESS.findall(config)))


class Recipe(Limpet):
    """Two workers. The recipe's servers are those of the test, in order; it listens where the test says.

    `change` (a function of the configuration) is for variants that the recipe's comments name. `files` (a function of the
    folder) makes the files that it names.
    """

    def __init__(self, name, *servers, change=None, files=None):
        self.servers = [server.port for server in servers]
        config = self.recipe = text(name)
        super().__init__(change(config) if change else config, start=False)
        try:
            if files:
                files(self.dir)
            checked = self.run("-t")
            assert checked.returncode == 0 and "[warn]" not in checked.stderr, checked.stderr
            self.start()
        except BaseException:
            self.__exit__(AssertionError)
            raise

    def write(self, config, name="limpet.conf"):
        super().write(self.placed(config), name)

    def placed(self, config):
        """With the test's own ports, and two workers."""
        places = dict(zip(addresses(self.recipe), self.servers, strict=True))
        config = ADDRESS.sub(lambda found: f"127.0.0.1:{places[found[0]]}", config)
        config = re.sub(r"\blisten \d+", f"listen 127.0.0.1:{self.port}", config)
        return config.replace("worker_processes auto;", "worker_processes 2;")

    def sessions(self, zone):
        """How many live in a zone."""
        asked = self.run("sessions", zone, "--json")
        assert asked.returncode == 0, asked.stderr
        return json.loads(asked.stdout)["active"]

    def forget(self, zone, session):
        """Ends one."""
        asked = self.run("forget", zone, session)
        assert asked.returncode == 0, asked.stderr

    def switch(self, change=None):
        """Reloads with the recipe as it stands, or as `change` makes it."""
        self.reload(change(self.recipe) if change else self.recipe)

    def reload_beneath(self):
        """Reloads while connections are open, which the old workers keep: it does not wait for those to end."""
        old = set(self.workers())
        started = len(self.log_lines("start worker processes"))
        self.kill(signal.SIGHUP)
        wait_until(lambda: len(self.log_lines("start worker processes")) > started, "the reload")
        self.wait_log("gracefully shutting down", count=started * len(old))
