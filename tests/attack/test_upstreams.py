"""Hostile upstreams: what the client is told, and that the next request is none the worse; beside nginx where it is installed.

An outcome is `STATUS[{FIELD: shown}]['BODY'] … [+] [xREQUESTS]`: `cut` where a body broke off, `+` if the client's connection
was kept, and how often the upstream was asked, if not once. Each row runs with buffering and without it.
"""
import concurrent.futures

import pytest

import tables
import wire
from daemon import Limpet
from oracle import Nginx, oracle
from ports import free_port
from reasons import REASONS
from script import FINE, Scripted
from waiting import wait_until

ROWS = tables.read("upstreams")
LANES = 8  # those that run into a timeout do so side by side
PLACES = ("buffered", "streamed")

LAST = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
NEXT = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext"

CONFIG = """
worker_processes 1;
events { worker_connections 256; }
http {
    access_log off;
    proxy_read_timeout 1s;
    proxy_send_timeout 1s;
    proxy_connect_timeout 5s;
    keepalive_timeout 5s;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    {servers}
}
"""
SERVER = """
    upstream {name} { server 127.0.0.1:{backend} max_fails=0; keepalive 1; }
    server {
        listen {address}:{port};
        location /buffered { proxy_pass http://{name}; }
        location /streamed { proxy_pass http://{name}; proxy_buffering off; }
        location /ignored { proxy_pass http://{name}; proxy_ignore_headers X-Accel-Redirect X-Accel-Charset Set-Cookie; }
        location /passed { proxy_pass http://{name}; proxy_pass_header X-Accel-Expires; proxy_pass_header Server; }
        location /socket { proxy_pass http://{name}; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection Upgrade; }
        location /page { proxy_pass http://{name}; proxy_intercept_errors on; error_page 404 502 504 =200 /local; }
        location /zip { proxy_pass http://{name}; gunzip on; gzip on; gzip_types *; gzip_min_length 1; }
        location /inside/ { internal; return 200 "inside $uri?$args"; }
        location /public/ { return 200 "public $uri?$args"; }
        location /files/ { internal; alias {dir}/; }
        location /loop { proxy_pass http://{name}; }
        location @named { return 200 "named $uri"; }
        location /local { return 200 "local"; }
        location = /end { add_header X-End yes; return 204; }
    }
"""


class Lane:
    """One row at a time: a server and an upstream of its own."""

    def __init__(self, number, port):
        self.name, self.address, self.port = f"up{number}", f"127.0.0.{number}", port
        self.upstream = Scripted()

    def config(self):
        one = SERVER
        for name, value in {"name": self.name, "backend": self.upstream.port, "address": self.address,
                            "port": self.port}.items():
            one = one.replace("{" + name + "}", str(value))
        return one

    def run(self, row, place):
        place = row.options.get("at", place)
        self._ask_after(LAST)  # whatever connection was kept is used up
        if "kept" in row.options:
            self._ask_after(FINE)
        self.upstream.play(step for step in row.sent if step[0][0] == "<")
        request = b"".join(data for mark, data in row.sent if mark == ">") or b"GET PATH HTTP/1.1\r\nHost: x\r\n\r\n"
        data = request.replace(b"PATH", b"/" + place.encode())
        told = wire.tell(self._exchange(data + (b"" if "tunnel" in row.options else wire.END)),
                         data.startswith(b"HEAD "), row.options.get("show", "").split())
        times = "" if self.upstream.asked == 1 else f" x{self.upstream.asked}"
        if "spoiled" in row.options:  # a connection that has said too much is not kept
            wait_until(self.upstream.is_alone, "the connection to be closed")
        following = self._ask_after(NEXT)
        return told + times + ("" if following == "200'next'" else f" THE NEXT REQUEST: {following}")

    def _ask_after(self, answer):
        """One more request, which gets this answer."""
        self.upstream.play([("<", answer)])
        return wire.tell(self._exchange(b"GET /buffered HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))

    def _exchange(self, data):
        return wire.exchange(self.port, data, self.address)


def cases():
    for name, row in ROWS.items():
        for place in ("",) if "at" in row.options else PLACES:
            yield name, place


def outcomes(make):
    """Every row's outcome, by (name, place)."""
    port = free_port()
    lanes = [Lane(number + 1, port) for number in range(LANES)]
    try:
        with make("".join(lane.config() for lane in lanes)) as server, \
                concurrent.futures.ThreadPoolExecutor(LANES) as pool:
            def work(number):
                mine = list(cases())[number::LANES]
                return {case: lanes[number].run(ROWS[case[0]], case[1]) for case in mine}

            results = {}
            for part in pool.map(work, range(LANES)):
                results |= part
            assert server.process.poll() is None
            return results
    finally:
        for lane in lanes:
            lane.upstream.stop()


def started(kind):
    def make(servers):
        server = kind(CONFIG, servers=servers, start=False)
        server.write("what is in the file", "file")
        server.start()
        return server
    return make


@pytest.fixture(scope="module")
def limpet():
    return outcomes(started(Limpet))


@pytest.fixture(scope="module")
def nginx():
    if oracle() is None:
        pytest.skip("no nginx that is new enough")
    return outcomes(started(Nginx))


@pytest.mark.parametrize("name,place", cases())
def test_outcome(limpet, name, place):
    assert limpet[name, place] == ROWS[name].outcome(place)


@pytest.mark.parametrize("name,place", cases())
def test_beside_nginx(nginx, name, place):
    outcome, reason = ROWS[name].nginx_outcome(place)
    assert nginx[name, place] == outcome
    assert outcome == ROWS[name].outcome(place) or reason in REASONS, "a difference needs its reason"
