"""Servers and clients of node's, with the packages that scripts/recipes installs into the build folder."""
import json
import os
import select
import subprocess

from daemon import BINARY
from server_process import ServerProcess
from servers import HERE, SCRIPTS, running
from waiting import PATIENCE

BUILD = os.path.dirname(os.path.abspath(BINARY))
MODULES = os.path.join(BUILD, "recipes", "node_modules")


def node_servers(script, *names, arguments=()):
    """`with` them. Installs their packages once for a build folder."""
    subprocess.run([os.path.join(HERE, "..", "..", "scripts", "recipes"), BUILD], check=True, stdout=subprocess.DEVNULL,
                   timeout=300)

    def server(name):
        return ServerProcess(name, "node", os.path.join(SCRIPTS, script), "{port}", *arguments, env={"NODE_PATH": MODULES})
    return running(server, names)


class NodeClient:
    """A script that answers each line of JSON with one. An answer {"error": …} fails the test."""

    def __init__(self, script, *arguments):
        self.process = subprocess.Popen(
            ["node", os.path.join(HERE, "clients", script), *map(str, arguments)],
            env=dict(os.environ, NODE_PATH=MODULES), stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, do, **more):
        self.process.stdin.write(json.dumps({"do": do, **more}).encode() + b"\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], 2 * PATIENCE)
        assert ready, f"no answer to {do} {more}"
        answer = json.loads(self.process.stdout.readline() or '{"error": "the client has ended"}')
        assert "error" not in answer, f"{do} {more}: {answer['error']}"
        return answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
