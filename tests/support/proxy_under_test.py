"""The limpet that scripts/chaos torments: its processes over kills, reloads and new binaries, its disk, its name server."""
import os
import shutil
import signal
import subprocess

from binaries import ManyMasters
from client import get
from daemon import alive, begun
from dns import NameServer
from waiting import wait_until
from witness import Witness

WORKERS = 3
DISK = 4 << 20  # bytes that the small disk has

CONFIG = """
worker_processes 3;
worker_watchdog 5s;
worker_rlimit_core 0;
worker_shutdown_timeout 10s;
state_path {disk}/state;
events { worker_connections 512; }
http {
    access_log off;
    client_body_temp_path {disk}/body;
    client_body_buffer_size 8k;
    client_max_body_size 10m;
    resolver 127.0.0.1:{dns} valid=1s ipv6=off;
    resolver_timeout 2s;
    upstream app {
        zone app 256k;
        {servers}
        sticky learn create=$upstream_cookie_id lookup=$cookie_id zone=sessions:1m timeout=2h header;
    }
    upstream named {
        zone named 256k;
        server web.test:{web} resolve;
        sticky learn create=$upstream_cookie_id lookup=$cookie_id zone=named:1m timeout=2h header;
    }
    server {
        listen {port} backlog=1024;
        location / { proxy_pass http://app; }
        location /named/ { proxy_pass http://named; }
        location /ready { return 200 ready; }
    }
}
"""


class _Limpet(ManyMasters):
    """Which may start at another time of its clock."""

    clock = []

    def command(self, *more):
        return [*self.clock, *super().command(*more)]


class Proxy:
    def __init__(self, servers, static, named):
        self.named = [servers.origins[name].address for name in named]
        self.dns = NameServer(ttl=1)
        self.dns.set(web=self.named)
        lines = "\n".join(f"server 127.0.0.1:{servers.origins[name].port};" for name in static)
        self.limpet = _Limpet(CONFIG, start=False, servers=lines, dns=self.dns.port, web=servers.origins[named[0]].port,
                              disk="")
        self.limpet.values["disk"] = self.disk = self.limpet.path("disk")
        self.limpet.write(CONFIG)
        self.port = self.limpet.port
        self.seen = {}  # every process that ever belonged to it, and when it began
        self.complaints = []
        self.witness = Witness(self.limpet.path("error.log"), self.workers, servers.wrong.append)
        os.mkdir(self.disk)
        os.chmod(self.disk, 0o1777)
        self.small = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=1777", "chaos", self.disk],
                                    capture_output=True).returncode == 0
        self.other_clocks = subprocess.run(["unshare", "--time", "--boottime", "1", "true"],
                                           capture_output=True).returncode == 0

    # Its processes

    def start(self, clock=0):
        self.limpet.clock = ["unshare", "--time", "--boottime", str(clock)] if clock and self.other_clocks else []
        try:
            self.limpet.start()
        finally:
            self.limpet.clock = []
        self.wait_ready()

    @property
    def master(self):
        return self.limpet.pid

    def workers(self):
        found = self.limpet.workers()
        self.seen |= {pid: begun(pid) for pid in {self.master, *found}}
        return found

    def wait_ready(self, instead_of=()):
        """Until all workers are there, none of those, and somebody answers."""
        wait_until(lambda: len(self.workers()) >= WORKERS and not set(instead_of) & set(self.workers()), "all workers")
        wait_until(self._answers, "an answer")

    def _answers(self):
        try:
            return get(self.port, "/ready").text == "ready"
        except OSError:
            return False

    def wait_end(self, pids):
        self.limpet.process.poll()
        wait_until(lambda: self.limpet.process.poll() and False or not any(alive(pid) for pid in pids), "processes to end")

    # The run

    def __enter__(self):
        self.start()
        self.witness.start()
        return self

    def __exit__(self, *_):
        """It ends as it is told, leaves nothing, and no process has crashed by itself."""
        if not self.limpet.process:
            return
        family = [self.master, *self.workers()]
        try:
            os.kill(self.master, signal.SIGQUIT)
            self.wait_end(family)
        except (OSError, AssertionError) as error:
            self.complaints.append(f"it did not end: {error}")
        left = self._kill_all()
        if left:
            self.complaints.append(f"processes {left} were left")
        self.witness.finish()
        crashes = self.limpet.log_lines(r"exited on signal (?!6\b|9\b|15\b)|exited with (fatal )?code (?!0\b)|Sanitizer")
        self.complaints += self.limpet.reports() + crashes[:5]
        self.limpet.forgive()

    def _kill_all(self):
        left = [pid for pid, when in self.seen.items() if alive(pid) and begun(pid) == when]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        return left

    def stop(self):
        """Whatever happened: no process, mount or directory stays."""
        self._kill_all()
        self.dns.stop()
        if self.small:
            subprocess.run(["umount", "-l", self.disk], check=False)
        if self.limpet.process:
            self.limpet.process.wait(20)
        self.limpet.__exit__(AssertionError)
        shutil.rmtree(self.limpet.dir, ignore_errors=True)
