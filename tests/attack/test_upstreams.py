"""Hostile upstreams: what the client is told, and that the next request is none the worse; beside nginx where it is installed.

An outcome is `STATUS[{FIELD: shown}]['BODY'] … [+] [xREQUESTS]`: `cut` where a body broke off, `+` if the client's connection
was kept, and how often the upstream was asked, if not once. Each row runs with buffering and without it.
"""
import pytest

import tables
import wire
from runner import Lane, Table, check_nginx
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
    upstream up{number} { server 127.0.0.1:{backend} max_fails=0; keepalive 1; }
    server {
        listen 127.0.0.{number}:{port};
        location /buffered { proxy_pass http://up{number}; }
        location /streamed { proxy_pass http://up{number}; proxy_buffering off; }
        location /ignored { proxy_pass http://up{number}; proxy_ignore_headers X-Accel-Redirect X-Accel-Charset Set-Cookie; }
        location /passed { proxy_pass http://up{number}; proxy_pass_header X-Accel-Expires; proxy_pass_header Server; }
        location /socket { proxy_pass http://up{number}; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection Upgrade; }
        location /page { proxy_pass http://up{number}; proxy_intercept_errors on; error_page 404 502 504 =200 /local; }
        location /zip { proxy_pass http://up{number}; gunzip on; gzip on; gzip_types *; gzip_min_length 1; }
        location /inside/ { internal; return 200 "inside $uri?$args"; }
        location /public/ { return 200 "public $uri?$args"; }
        location /files/ { internal; alias {dir}/; }
        location /loop { proxy_pass http://up{number}; }
        location @named { return 200 "named $uri"; }
        location /local { return 200 "local"; }
        location = /end { add_header X-End yes; return 204; }
    }
"""


class Upstreams(Lane):
    def __init__(self, number, port):
        super().__init__(number, port, Scripted())

    def config(self):
        return self.fill_in(SERVER)

    def run(self, row, place):
        place = row.options.get("at", place)
        self._ask_after(LAST)  # whatever connection was kept is used up
        if "kept" in row.options:
            self._ask_after(FINE)
        self.backend.play(step for step in row.sent if step[0][0] == "<")
        request = b"".join(data for mark, data in row.sent if mark == ">") or b"GET PATH HTTP/1.1\r\nHost: x\r\n\r\n"
        data = request.replace(b"PATH", b"/" + place.encode())
        told = wire.tell(self._exchange(data + (b"" if "tunnel" in row.options else wire.END)),
                         data.startswith(b"HEAD "), row.options.get("show", "").split())
        times = "" if self.backend.asked == 1 else f" x{self.backend.asked}"
        if "spoiled" in row.options:  # a connection that has said too much is not kept
            wait_until(self.backend.is_idle, "the connection to be closed")
        following = self._ask_after(NEXT)
        return told + times + ("" if following == "200'next'" else f" THE NEXT REQUEST: {following}")

    def _ask_after(self, answer):
        """One more request, which gets this answer."""
        self.backend.play([("<", answer)])
        return wire.tell(self._exchange(b"GET /buffered HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))

    def _exchange(self, data):
        return wire.exchange(self.port, data, f"127.0.0.{self.number}")


TABLE = Table(ROWS, places=lambda row: ("",) if "at" in row.options else PLACES, lane=Upstreams, lanes=LANES, config=CONFIG,
              files={"file": "what is in the file"})


@pytest.mark.parametrize("name,place", TABLE.cases)
def test_outcome(limpet, name, place):
    assert limpet[name, place] == ROWS[name].outcome(place)


@pytest.mark.parametrize("name,place", TABLE.cases)
def test_beside_nginx(nginx, name, place):
    check_nginx(ROWS[name], place, nginx[name, place])
