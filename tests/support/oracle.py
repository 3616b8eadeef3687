"""nginx beside limpet, where it is installed: LIMPET_ORACLE names the binary, or it is the `nginx` in PATH."""
import functools
import os
import re
import shutil
import subprocess

from daemon import Limpet

SINCE = (1, 31, 5)  # the version that limpet follows: an older one differs for reasons of its own


@functools.cache
def oracle():
    """The binary's path, or None where there is none that is new enough."""
    path = os.environ.get("LIMPET_ORACLE") or shutil.which("nginx")
    if not path:
        return None
    said = subprocess.run([path, "-v"], capture_output=True, text=True).stderr
    found = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", said)
    return path if found and tuple(map(int, found.groups())) >= SINCE else None


class Nginx(Limpet):
    """The same configuration under nginx. What `Limpet` says of processes, files and signals holds for it, too."""

    def __init__(self, config, **values):
        self.binary = oracle()
        super().__init__(config, **values)
