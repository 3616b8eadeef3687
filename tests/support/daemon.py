"""The real binary under a configuration of the test's own."""
import glob
import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile

from ports import free_port
from waiting import PATIENCE, wait_until

BINARY = os.environ.get("LIMPET_BINARY", "build/limpet")


def sanitized():
    """Whether AddressSanitizer is in the binary: its shadow memory is far larger than what it watches."""
    with open(BINARY, "rb") as binary:
        return b"__asan_init" in binary.read()


def fill_in(text, values):
    """Replaces {name} for the names given; nginx's own braces stay as they are."""
    for name, value in values.items():
        text = text.replace("{" + name + "}", str(value))
    return text


def _stat(pid):
    """What /proc/PID/stat says behind the name; [] if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()
    except OSError:
        return []


def alive(pid):
    """True if that process runs (a zombie does not)."""
    return _stat(pid)[:1] not in ([], ["Z"])


def begun(pid):
    """When it began, in the system's ticks: a later process of that number has another. None: there is none."""
    return (_stat(pid)[19:20] or [None])[0]


def cpu_seconds(pid):
    """What that process has had of a processor."""
    with open(f"/proc/{pid}/stat") as stat:
        user, system = stat.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def is_worker(pid):
    """True if a child of a master lives and is no process that only writes its state."""
    try:
        with open(f"/proc/{pid}/cmdline") as text:
            return alive(pid) and not text.read().startswith("limpet: state writer")
    except OSError:
        return False


def hash_of(text):
    """As names of shared memory have it."""
    return hashlib.md5(text.encode()).hexdigest()[:16]


class Limpet:
    """A limpet in a directory of its own. The configuration runs as it is: where things are is told on the command line.

    `port` is where {port} in the configuration points; further values fill further placeholders.
    """

    binary = BINARY

    def __init__(self, config, workers=None, log_level="info", start=True, **values):
        self.dir = tempfile.mkdtemp(prefix="limpet-test-")
        os.chmod(self.dir, 0o755)  # workers of a root master are somebody else
        os.mkdir(self.path("sanitizer"))
        os.chmod(self.path("sanitizer"), 0o777)
        self.port = values.setdefault("port", free_port())
        values.setdefault("dir", self.dir)
        self.values = values
        self.extra = f"worker_processes {workers};" if workers else ""
        self.log_level = log_level
        self.process = None
        self.write(config)
        if start:
            try:
                self.start()
            except BaseException:  # there is no `with` yet that would end it
                self.__exit__(AssertionError)
                raise

    # Files

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, config, name="limpet.conf"):
        with open(self.path(name), "w") as out:
            out.write(fill_in(config, self.values))

    def log(self):
        with open(self.path("error.log"), errors="replace") as text:
            return text.read()

    def log_lines(self, pattern):
        return [line for line in self.log().splitlines() if re.search(pattern, line)]

    def wait_log(self, pattern, count=1):
        """Waits until the error log has so many lines that match; returns them."""
        lines = wait_until(lambda: (found := self.log_lines(pattern)) and len(found) >= count and found,
                           f"{count} log lines like {pattern!r}")
        return lines

    # Processes

    def command(self, *more):
        globals_ = f"pid {self.path('limpet.pid')}; error_log {self.path('error.log')} {self.log_level}; daemon off; {self.extra}"
        return [self.binary, "-p", self.dir + "/", "-c", "limpet.conf", "-e", "error.log", "-g", globals_, *more]

    def run(self, *more):
        """Runs the binary to its end, as -t and -s do."""
        return subprocess.run(self.command(*more), capture_output=True, text=True, timeout=PATIENCE)

    def start(self):
        env = dict(os.environ, ASAN_OPTIONS=f"log_path={self.path('sanitizer/report')}",
                   UBSAN_OPTIONS=f"log_path={self.path('sanitizer/report')}:print_stacktrace=1")
        self.process = subprocess.Popen(self.command(), env=env, stdin=subprocess.DEVNULL,
                                        stdout=open(self.path("output"), "ab"), stderr=subprocess.STDOUT)
        wait_until(self._started, "the pid file and the workers")

    def _started(self):
        if self.process.poll() is not None:
            raise AssertionError(f"limpet did not start:\n{open(self.path('output')).read()}")
        return os.path.exists(self.path("limpet.pid")) and len(self.workers()) >= self.worker_count()

    def worker_count(self):
        """How many workers the configuration asks for; one if it leaves that to the machine."""
        with open(self.path("limpet.conf")) as file:
            config = self.extra + file.read()
        if "master_process off;" in config:
            return 0
        found = re.search(r"worker_processes\s+(\d+);", config)
        return int(found[1]) if found else 1

    @property
    def pid(self):
        return self.process.pid

    def workers(self):
        """The worker processes, as the kernel knows them."""
        with open(f"/proc/{self.pid}/task/{self.pid}/children") as children:
            return [int(pid) for pid in children.read().split() if is_worker(int(pid))]

    def kill(self, number):
        os.kill(self.pid, number)

    def reload(self, config=None):
        """Reloads and waits until only workers of the new configuration are left."""
        if config is not None:
            self.write(config)
        old = set(self.workers())
        started = len(self.log_lines("start worker processes"))
        self.kill(signal.SIGHUP)
        wait_until(lambda: len(self.log_lines("start worker processes")) > started, "the reload")
        wait_until(lambda: not old & set(self.workers()), "old workers to end")

    def end(self, number=signal.SIGQUIT):
        """Ends it by a signal; returns the exit status. No process may be left."""
        family = [self.pid, *self.workers()]
        self.kill(number)
        status = self.process.wait(PATIENCE)
        left = [pid for pid in family if alive(pid)]
        assert not left, f"processes {left} are left"
        return status

    def kill_all(self):
        """All processes at once: shared memory stays, and so does the pid file, which is taken away here."""
        family = [self.pid, *self.workers()]
        for pid in family:
            os.kill(pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        wait_until(lambda: not any(alive(pid) for pid in family), "all to be dead")
        os.unlink(self.path("limpet.pid"))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if not os.path.isdir(self.dir):  # its Binaries have ended it
            return
        try:
            if self.process and self.process.poll() is None:
                self._clean_up()
            self._end_daemon()
            if kind is None:
                self.check_logs()
            elif os.path.exists(self.path("error.log")):
                print(*self.reports(), *self.crashes(), sep="\n", end="")
        finally:
            self.remove_zones()
            shutil.rmtree(self.dir, ignore_errors=True)

    def remove_zones(self):
        """Shared memory that a killed master has left, as it should."""
        for path in glob.glob(self._memory("*")):
            os.rmdir(path) if os.path.isdir(path) else os.unlink(path)

    def zone_path(self, name):
        """Where a zone's shared memory is expected: anybody can work that out."""
        return self._memory(hash_of(name))

    def _memory(self, zone):
        return f"/dev/shm/limpet-{hash_of(self.path('limpet.pid'))}-{zone}"

    def _end_daemon(self):
        """One that a failed test has left behind: not our child, only its pid file knows it."""
        try:
            with open(self.path("limpet.pid")) as text:
                pid = int(text.read())
        except (OSError, ValueError):
            return
        if (self.process and pid == self.process.pid) or not alive(pid):  # a killed master leaves its file
            return
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not alive(pid), "the daemon to end")

    def _clean_up(self):
        family = [self.pid, *self.workers()]
        self.kill(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        finally:
            for pid in family:
                if alive(pid):
                    os.kill(pid, signal.SIGKILL)

    def forgive(self):
        """What the log says of crashes so far was asked for by the test."""
        open(self.path("error.log"), "w").close()  # it is appended to: whoever writes goes on at its new end

    def check_logs(self):
        """Nothing that a test did not ask for: no crash of a worker, no sanitizer's report."""
        assert not self.reports(), self.reports()[0]
        assert not self.crashes(), self.crashes()

    def reports(self):
        """What sanitizers have found in any of its processes."""
        texts = []
        for name in os.listdir(self.path("sanitizer")):
            with open(self.path("sanitizer/" + name), errors="replace") as text:
                texts.append(text.read())
        return texts

    def crashes(self):
        return self.log_lines(r"exited on signal (?!9\b)|exited with (fatal )?code (?!0\b)|Sanitizer")
