"""Real redis-servers on free ports, in folders of their own: alone, with a replica, watched by Sentinels."""
import os
import shutil
import signal
import ssl
import subprocess
import tempfile

from ports import free_port
from redis_client import Monitor, Redis, RedisError
from waiting import PATIENCE, wait_until

REDIS = shutil.which("redis-server")
SENTINEL_MASTER = "mymaster"


class RedisServer:
    """One redis-server. `options` are lines of its configuration; `certificates` is a folder with ca.crt and redis.test.crt
    and .key (certificates.py), then it speaks TLS only; `password` is asked of everybody.

    Nothing is written to its disk: started again, it knows nothing.
    """

    def __init__(self, *options, address="127.0.0.1", port=None, certificates=None, password=None, start=True):
        self.dir = tempfile.mkdtemp(prefix="limpet-redis-")
        os.chmod(self.dir, 0o755)  # workers of a root master come to the socket in it
        self.address, self.port, self.password = address, port or free_port(), password
        self.certificates, self.options = certificates, list(options)
        self.bus = free_port()  # of a cluster; by itself it would be one that outgoing connections take, too
        self.socket = os.path.join(self.dir, "redis.sock")
        self.process = None
        if start:
            try:
                self.start()
            except BaseException:
                self.stop()
                raise

    # Its life

    def configuration(self):
        lines = [f"bind {self.address}", f"dir {self.dir}", "daemonize no", 'save ""', "appendonly no", "loglevel notice",
                 f"logfile {self.dir}/redis.log", f"unixsocket {self.socket}", "unixsocketperm 777", "enable-debug-command local"]
        if self.certificates:
            lines += ["port 0", f"tls-port {self.port}", "tls-auth-clients optional",
                      f"tls-ca-cert-file {self.certificates}/ca.crt", f"tls-cert-file {self.certificates}/redis.test.crt",
                      f"tls-key-file {self.certificates}/redis.test.key"]
        else:
            lines += [f"port {self.port}"]
        if self.password:
            lines += [f"requirepass {self.password}", f"masterauth {self.password}"]
        return lines + [f"cluster-port {self.bus}"] + self.options

    def command(self):
        return [REDIS, os.path.join(self.dir, "redis.conf")]

    def start(self):
        with open(os.path.join(self.dir, "redis.conf"), "w") as file:
            file.write("\n".join(self.configuration()) + "\n")
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        wait_until(self._answers, "redis-server")

    def _answers(self):
        assert self.process.poll() is None, f"redis-server did not start:\n{self.log()}"
        try:
            with self.client() as client:
                return client("PING") == b"PONG"
        except (OSError, RedisError):
            return False

    def kill(self, number=signal.SIGKILL):
        """It ends, and with it what it knew."""
        if self.process and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGCONT)
            os.kill(self.process.pid, number)
            self.process.wait(PATIENCE)

    def restart(self):
        """Dead, and back with nothing."""
        self.kill()
        self.start()

    def pause(self):
        """It answers nobody, and no connection breaks."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def stop(self):
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    def log(self):
        try:
            with open(os.path.join(self.dir, "redis.log")) as text:
                return text.read()
        except OSError:
            return ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    # What it knows

    def client(self, **how):
        """A connection of its own, with every right."""
        if self.certificates:
            how["tls"] = ssl.create_default_context(cafile=f"{self.certificates}/ca.crt")
            how["tls"].check_hostname = False
            how["tls"].load_cert_chain(f"{self.certificates}/redis.test.crt", f"{self.certificates}/redis.test.key")
        return Redis(self.port, address=self.address, password=self.password, **how)

    def __call__(self, *words):
        with self.client() as client:
            return client(*words)

    def sessions(self, zone="sessions", prefix="limpet:", database=0):
        """The keys of all sessions of a zone."""
        begin = f"{prefix}{{{zone}}}:".encode()
        with self.client() as client:
            client("SELECT", database)
            keys = client("KEYS", begin + b"*")
        return {key for key in keys if len(key) == len(begin) + 10}

    def monitor(self):
        return Monitor(self.client())

    def info(self, name):
        """One line of INFO, as text."""
        lines = self("INFO", "everything").decode().splitlines()
        return next(line.partition(":")[2] for line in lines if line.startswith(name + ":"))

    def role(self):
        """`master` or `slave`; nothing while it changes: Sentinel ends all connections then."""
        try:
            return self.info("role")
        except ConnectionError:
            return None


def make_cluster(first, second):
    """Of two servers with `cluster-enabled yes`: the first has all slots but that of zone `sessions`."""
    slot = first("CLUSTER", "KEYSLOT", "{sessions}")
    first("CLUSTER", "ADDSLOTSRANGE", 0, slot - 1, slot + 1, 16383)
    second("CLUSTER", "ADDSLOTS", slot)
    first("CLUSTER", "MEET", second.address, second.port, second.bus)
    wait_until(lambda: all(b"cluster_state:ok" in server("CLUSTER", "INFO") for server in (first, second)), "the cluster")


class Sentinel(RedisServer):
    def __init__(self, master, number, names=False, password=None):
        self.watched, self.number, self.names = master, number, names
        super().__init__(password=password)

    def configuration(self):
        name = SENTINEL_MASTER
        lines = [f"port {self.port}", f"bind {self.address}", f"dir {self.dir}", f"logfile {self.dir}/redis.log"]
        if self.names:
            lines += ["sentinel resolve-hostnames yes", "sentinel announce-hostnames yes"]
        if self.password:
            lines += [f"requirepass {self.password}"]
        return [*lines, f"sentinel monitor {name} {'localhost' if self.names else self.watched.address} {self.watched.port} 2",
                f"sentinel down-after-milliseconds {name} 1000", f"sentinel failover-timeout {name} 5000"]

    def command(self):
        return [*super().command(), "--sentinel"]


class Sentinels:
    """A master, a replica of it, and three Sentinels that watch them."""

    def __init__(self, **options):
        self.servers, self.sentinels = [], []
        try:
            self.servers.append(RedisServer("repl-diskless-sync-delay 0"))
            self.servers.append(RedisServer("repl-diskless-sync-delay 0", f"replicaof 127.0.0.1 {self.servers[0].port}"))
            wait_until(lambda: self.servers[1].info("master_link_status") == "up", "the replica")
            for number in range(3):
                self.sentinels.append(Sentinel(self.servers[0], number, **options))
            wait_until(lambda: all(self._knows_all(sentinel) for sentinel in self.sentinels), "the Sentinels to know each other")
        except BaseException:
            self.stop()
            raise

    def _knows_all(self, sentinel):
        facts = sentinel("SENTINEL", "MASTER", SENTINEL_MASTER)
        facts = dict(zip(facts[::2], facts[1::2]))
        return facts[b"num-other-sentinels"] == b"2" and facts[b"num-slaves"] == b"1" and facts[b"flags"] == b"master"

    @property
    def ports(self):
        return [sentinel.port for sentinel in self.sentinels]

    def master(self):
        """The server that two of the Sentinels hold for the master."""
        said = [int(sentinel("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SENTINEL_MASTER)[1]) for sentinel in self.sentinels]
        return next((server for server in self.servers if said.count(server.port) > 1), None)

    def fail_over(self):
        """Kills the master, and waits until the other one is it and can be written to; that one."""
        before = self.master()
        before.kill()
        after = wait_until(lambda: (now := self.master()) is not before and now, "the failover", 60)
        wait_until(lambda: after.role() == "master", "the new master")
        return after

    def stop(self):
        for server in [*self.sentinels, *self.servers]:
            server.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
