"""A prefix and what is left behind it: nothing leads out of the folder, or of the upstream's path, that was given."""
import base64
import os

import pytest

from client import Connection, get
from daemon import Limpet
from origin import Origin, Reply
from waiting import wait_until

CONFIG = r"""
events { }
http {
    default_type text/plain;
    server {
        listen {port};
        root {dir}/srv/pub/deep;
        location /files { alias {dir}/srv/pub/; autoindex on; }
        location ^~ /strong { alias {dir}/srv/pub/; }
        location /dotted { alias {dir}/srv/pub/.; }
        location /tried { alias {dir}/srv/pub/; try_files $uri $uri/ =404; }
        location ~ ^/caught(.*)$ { alias {dir}/srv/pub/$1; }
        location /var { alias {dir}/srv/$arg_d/; }
        location /rooted/ { root {dir}/srv/$arg_d; }
        location /names/ { alias {dir}/srv/pub/; index $arg_i; }
        location /any { try_files /$arg_f =404; }
        location /rewritten { rewrite ^/rewritten(.*)$ /deep/$1 last; }
        location /broken { rewrite ^/broken(.*)$ /$1 break; root {dir}/srv/pub; }
        location /deep/ { alias {dir}/srv/pub/deep/; }
        location /page { error_page 404 /deep/$arg_p; return 404; }
        location /fallback { try_files /none /deep/$arg_p; }
        location /accel { proxy_pass http://127.0.0.1:{origin}/accel; }
        location /proxied { proxy_pass http://127.0.0.1:{origin}/v1/; }
        location ~ ^/matched(.*)$ { proxy_pass http://127.0.0.1:{origin}/v1/$1; }
        location /changed { rewrite ^/changed(.*)$ /v1/$1 break; proxy_pass http://127.0.0.1:{origin}; }
        location /asis { proxy_pass http://127.0.0.1:{origin}$request_uri; }
        location /whole { rewrite ^ $request_uri; rewrite ^/whole(.*)$ $1 break; proxy_pass http://127.0.0.1:{origin}; }
        location /mirrored { mirror /copy/$arg_p; mirror_request_body off; proxy_pass http://127.0.0.1:{origin}/m/; }
        location /copy/ { proxy_pass http://127.0.0.1:{origin}; }
        location /logged { access_log {dir}/srv/pub/logs/$arg_l.log; return 200; }
        location /guarded { auth_basic realm; auth_basic_user_file {dir}/srv/pub/users/$arg_u; try_files /file =404; }
        location /tested { if (-f {dir}/srv/pub/deep/$arg_f) { return 200 there; } return 200 none; }
        location /socket { proxy_pass http://unix:{dir}/srv/pub/$arg_s:/; }
    }
    server {
        listen unix:{dir}/srv/hidden;
        listen unix:{dir}/srv/pub/shown;
        return 200 "by a socket";
    }
}
"""


@pytest.fixture(scope="module")
def origin():
    with Origin(respond=lambda request: Reply(request.target.encode())) as origin:
        yield origin


@pytest.fixture(scope="module")
def limpet(origin):
    with Limpet(CONFIG, origin=origin.port, start=False) as limpet:
        for name in ("srv/secret", "srv/pub/file", "srv/pub/deep/file", "srv/pub/deep/rooted/file", "srv/pub/index.html"):
            os.makedirs(os.path.dirname(limpet.path(name)), exist_ok=True)
            with open(limpet.path(name), "w") as out:
                out.write(name)
        for name in ("srv/pub/logs", "srv/pub/users"):
            os.mkdir(limpet.path(name))
        for name in ("srv/passwords", "srv/pub/users/some"):
            limpet.write("user:{PLAIN}word\n", name)
        for name in ("srv", "srv/pub/logs"):  # workers are somebody else
            os.chmod(limpet.path(name), 0o777)
        limpet.start()
        yield limpet


@pytest.mark.parametrize("path", [
    "/files../secret", "/files%2e./secret", "/files..", "/files../", "/files..%2fsecret", "/strong../secret",
    "/dotted./secret", "/tried../secret", "/tried..", "/caught../secret", "/var/secret?d=pub/..", "/rooted/?d=..",
    "/any?f=../../secret", "/rewritten../../secret", "/rewritten../file", "/broken../secret",
    "/page?p=../file", "/page?p=../../secret", "/fallback?p=../file", "/proxied../x", "/proxied..", "/matched../x",
    "/changed../x", "/whole/a/../b"])
def test_what_would_climb_is_404(limpet, origin, path):
    hits = origin.hits
    answer = get(limpet.port, path)
    assert answer.status == 404 and b"404 Not Found" in answer.body
    assert origin.hits == hits


@pytest.mark.parametrize("path, body", [
    ("/files/file", "srv/pub/file"), ("/filesfile", "srv/pub/file"), ("/files/", "srv/pub/index.html"),
    ("/strongdeep/../file", "srv/pub/deep/file"), ("/tried/file", "srv/pub/file"), ("/caught/file", "srv/pub/file"),
    ("/var/file?d=pub", "srv/pub/file"), ("/rooted/file?d=pub/deep", "srv/pub/deep/rooted/file"),
    ("/names/?i=file", "srv/pub/file"), ("/any?f=file", "srv/pub/deep/file"), ("/rewritten/file", "srv/pub/deep/file"),
    ("/broken/file", "srv/pub/file"), ("/page?p=file", "srv/pub/deep/file"), ("/fallback?p=file", "srv/pub/deep/file"),
    ("/proxied/x", "/v1//x"), ("/proxied..x", "/v1/..x"), ("/matched/x", "/v1//x"), ("/changed/x", "/v1//x"),
    ("/asis/a/../b", "/asis/a/../b"), ("/whole/a/b", "/a/b")])
def test_what_does_not_climb_goes_on(limpet, path, body):
    connection = Connection(limpet.port)
    answer = connection.request(path)
    assert answer.text == body


def test_an_index_that_would_climb_is_none(limpet):
    assert get(limpet.port, "/names/?i=../secret").status == get(limpet.port, "/names/?i=none").status == 403


def test_no_copy_of_it_is_made(limpet, origin):
    get(limpet.port, "/mirrored?p=x")
    get(limpet.port, "/mirrored?p=../x")
    get(limpet.port, "/mirrored?p=y")
    assert [r.target for r in origin.requests if r.target.startswith("/copy/")] == ["/copy/x?p=x", "/copy/y?p=y"]


def test_no_log_is_written_there(limpet):
    for name in ("../../above", "some"):
        assert get(limpet.port, f"/logged?l={name}").status == 200
    wait_until(lambda: os.path.exists(limpet.path("srv/pub/logs/some.log")), "the log")
    assert not os.path.exists(limpet.path("srv/above.log"))
    limpet.wait_log(r'\[error\].*unsafe path ".*/srv/pub/logs/../../above.log" was detected')


def test_users_are_not_looked_up_there(limpet):
    credentials = [("Authorization", "Basic " + base64.b64encode(b"user:word").decode())]
    assert get(limpet.port, "/guarded?u=some", headers=credentials).text == "srv/pub/deep/file"
    assert get(limpet.port, "/guarded?u=../../passwords", headers=credentials).status == 403


def test_nobody_learns_whether_a_file_is_there(limpet):
    assert get(limpet.port, "/tested?f=file").text == "there"
    assert get(limpet.port, "/tested?f=../../secret").text == "none"


def test_no_socket_is_asked_there(limpet):
    assert get(limpet.port, "/socket?s=shown").text == "by a socket"
    assert get(limpet.port, "/socket?s=../hidden").status == 404


def test_the_pair_of_slashes_is_warned_of(limpet):
    warned = limpet.run("-t").stderr
    lines = [line for line in warned.splitlines() if "has no slash at its end" in line]
    assert len(lines) == 6
    assert '[warn] location "/files" has no slash at its end, but "' in warned
    assert f'"/files../" would lead out of it and is refused in {limpet.path("limpet.conf")}:8' in warned
    assert 'location "/proxied" has no slash at its end, but "/v1/" has' in warned
