"""SIGUSR2 to a binary whose notes are not what they should be: the new one serves all the same, and closes nothing of anybody else's."""
import os
import signal
import stat
import subprocess
import sys

import pytest

import lies
from binaries import Binaries, children, read_pid
from certificates import folder_with
from client import get
from daemon import Limpet, alive
from ports import free_port
from waiting import wait_until

CONFIG = """
events { }
http {
    limit_conn_zone $arg_key zone=places:1m;
    limit_req_zone $arg_key zone=rate:1m rate=1000r/s;
    upstream app { zone app 64k; server 127.0.0.1:{a} weight=3 slow_start=5s; server 127.0.0.1:{b} max_conns=100; }
    upstream named { zone named 64k; resolver 127.0.0.1:{nobody}; server web.test:{a} resolve; server 127.0.0.1:{b}; }
    server {
        listen {port};
        listen {tls} ssl;
        ssl_certificate {certs}/one.test.crt;
        ssl_certificate_key {certs}/one.test.key;
        ssl_session_cache shared:tls:1m;
        location / { proxy_pass http://app; }
        location /named { proxy_pass http://named; }
        location /conn { limit_conn places 100; proxy_pass http://app; }
        location /req { limit_req zone=rate burst=100 nodelay; proxy_pass http://app; }
        location /status/ { api /status/ write=on; }
    }
}
"""

# In the place of the new binary: it changes the notes as it is told and becomes the binary then.
LIAR = """#!{python} -SEB
import os, sys
sys.path.insert(0, {support!r})
import lies
with open("/proc/self/fd/" + os.environ["LIMPET_NOTES"], "rb") as file:
    notes = file.read()
os.environ["LIMPET_NOTES"] = str(lies.memory(lies.LIES[{lie!r}](notes)))
os.execv({binary!r}, sys.argv)
"""


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return folder_with(tmp_path_factory, "one.test")


class Lied(Limpet):
    """Its new binary is told a lie. What runs is the binary, under the liar's name."""

    def command(self, *more):
        return [self.path("liar"), *super().command(*more)[1:]]

    def start(self):
        self.process = subprocess.Popen(self.command(), executable=self.binary, stdin=subprocess.DEVNULL,
                                        stdout=open(self.path("output"), "ab"), stderr=subprocess.STDOUT)
        wait_until(self._started, "the pid file and the workers")


def answers(both):
    """What every part of it says that has to do with zones, often enough for each worker to have said it."""
    said = set()
    for key in range(12):
        for path in ("/", f"/conn?key={key}", f"/req?key={key}", "/status/upstreams", "/named"):
            said.add(get(both.limpet.port, path).status)
    shake_hands(both)
    return said


def shake_hands(both):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{both.limpet.values['tls']}", "-tls1_2", "-reconnect"],
                          input="", capture_output=True, text=True, timeout=30)
    assert "Cipher is" in done.stdout and "(NONE)" not in done.stdout, done.stderr


@pytest.mark.parametrize("lie", lies.LIES)
def test_of_a_liar_the_new_binary_makes_the_best(origins, certs, lie):
    a, b = origins("a", "b")
    with Lied(CONFIG, workers=2, start=False, a=a.port, b=b.port, nobody=free_port(), tls=free_port(), certs=certs) as limpet:
        with open(limpet.path("liar"), "w") as script:
            script.write(LIAR.format(python=sys.executable, binary=os.path.abspath(limpet.binary), lie=lie,
                                     support=os.path.dirname(lies.__file__)))
        os.chmod(limpet.path("liar"), 0o755)
        limpet.start()
        both = Binaries(limpet, workers=2)
        assert answers(both) == {200}
        both.upgrade()
        both.rest()
        assert answers(both) <= {200, 502, 503}
        assert len(children(both.new)) == 2 and stat.S_ISREG(os.stat(f"/proc/{both.new}/fd/1").st_mode)
        both.end(both.new, signal.SIGTERM)
        wait_until(lambda: len(both.old_workers()) == 2, "the old workers to be back")
        assert read_pid(limpet) == both.old and alive(both.old)
        assert answers(both) == {200}, "the old one has not been told anything"
