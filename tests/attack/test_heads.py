"""Heads by directive: what a location makes of a request's head and of a response's, beside nginx where it is installed.

`set` is what stands in the row's location, beside a proxy_pass unless it says something else; `>` is what is asked for (in
the location, HTTP/1.1, further fields behind it); `<` what the upstream answers. An outcome is `STATUS [FIELDS] | LINE [FIELDS]`:
the client's head and the upstream's.
"""
import re

import pytest

import tables
import wire
from daemon import Limpet
from oracle import Nginx, oracle
from ports import free_port
from recorder import Recorder
from runner import check_nginx

ROWS = tables.read("heads")

CONFIG = """
worker_processes 1;
events { worker_connections 256; }
http {
    access_log off;
    proxy_headers_hash_bucket_size 256;
    upstream group { server 127.0.0.1:{backend}; keepalive 4; }
    map $http_x $mapped { default ""; ~. mapped; }
    server {
        listen 127.0.0.1:{port};
        server_name x;
        {locations}
        location = /end { add_header X-End yes; return 204; }
        location = /allowed { return 204; }
        location = /denied { return 403; }
    }
}
"""


def places():
    return {name: f"/r{number}" for number, name in enumerate(ROWS)}


def locations():
    text = ""
    for name, row in ROWS.items():
        inner = row.options["set"] + row.options.get("and", "")
        if not re.search(r"\b(return|alias|root|proxy_pass|try_files)\b", inner):
            inner += " proxy_pass http://group;"
        text += f"location {places()[name]}/ {{ {inner.replace('HERE', places()[name])} }}\n"
    return text


def head(lines, place):
    """Without what changes from day to day."""
    fields = [line for line in lines[1:] if not re.match(r"(?i)(date|connection|last-modified|content-length): |host: x$", line)]
    fields = [re.sub(r"^(Server:) \S+$", r"\1 OURS", line) for line in fields]
    fields = [re.sub(r'^(ETag:) (W/)?"[0-9a-f]+-[0-9a-f]+"$', r"\1 \2OURS", line) for line in fields]
    fields = [re.sub(r"^(Expires:) .* GMT$", r"\1 DATE", line) for line in fields]
    return re.sub(re.escape(place) + r"(?=/)", "HERE", " ".join([lines[0], str(fields)]))


def outcome(server, recorder, name, row):
    place = places()[name]
    recorder.clear()
    recorder.answer = row.answer
    asked = b"".join(data for mark, data in row.sent if mark == ">") or b"GET /a"
    line, _, fields = asked.partition(b"\r\n")
    method, _, rest = line.partition(b" ")
    rest, _, version = rest.partition(b" ")
    data = b"%s %s%s %s\r\nHost: x\r\n%s\r\n" % (method, place.encode(), rest, version or b"HTTP/1.1", fields)
    got = wire.exchange(server.values["port"], data + wire.END)
    lines = got.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    client = head([lines[0].split(" ")[1] if " " in lines[0] else "nothing", *lines[1:]], place)
    seen = [head([line.decode("latin-1") for line in message.lines], place) for message in recorder.messages]
    told = " | ".join([client, *seen, *recorder.loose])
    return told.replace(f":{server.values['port']}", ":PORT").replace(f":{recorder.port}", ":BACKEND")


def outcomes(kind):
    recorder = Recorder()
    try:
        server = kind(CONFIG, backend=recorder.port, port=free_port(), locations="", start=False)
        server.values["locations"] = locations().replace("{backend}", str(recorder.port)).replace("{dir}", server.dir)
        server.write(CONFIG)
        server.write("0123456789", "file.txt")
        server.write("user:{PLAIN}secret\n", "passwords")
        with server:
            server.start()
            return {name: outcome(server, recorder, name, row) for name, row in ROWS.items()}
    finally:
        recorder.stop()


for row in ROWS.values():
    row.answer = b"".join(data for mark, data in row.sent if mark == "<") or Recorder.ANSWER


@pytest.fixture(scope="module")
def limpet():
    return outcomes(Limpet)


@pytest.fixture(scope="module")
def nginx():
    if oracle() is None:
        pytest.skip("no nginx that is new enough")
    return outcomes(Nginx)


@pytest.mark.parametrize("name", ROWS)
def test_outcome(limpet, name):
    assert limpet[name] == ROWS[name].outcome("")


@pytest.mark.parametrize("name", ROWS)
def test_beside_nginx(nginx, name):
    check_nginx(ROWS[name], "", nginx[name])
