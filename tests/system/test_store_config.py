"""`session_store { }` and `store=`: what is refused, where, and what is said of it."""
import os

import pytest

from daemon import Limpet
from machines import write_secret

CONFIG = """
events { }
http {
    session_store shared {
        {block}
    }
    {more}
    upstream app {
        server 127.0.0.1:{port};
        sticky learn create=$upstream_cookie_id lookup=$cookie_id zone=sessions:1m {sticky};
    }
    server { listen {port}; location / { proxy_pass http://app; } }
}
"""
SERVER, KEY = "server 127.0.0.1;", "key_file {keys}/one.key;"


@pytest.fixture
def keys(tmp_path):
    write_secret(tmp_path / "one.key")
    write_secret(tmp_path / "two.key")
    write_secret(tmp_path / "three.key")
    write_secret(tmp_path / "short.key", b"x" * 15)
    for name, text in (("right.pw", b"open-sesame\n"), ("empty.pw", b""), ("two.pw", b"one\ntwo\n")):
        write_secret(tmp_path / name, text or b"\n")
    return tmp_path


def check(keys, block, sticky="store=shared", more=""):
    """What -t says, and whether it is content."""
    block = block.replace("{keys}", str(keys))
    with Limpet(CONFIG, start=False, block=block, sticky=sticky, more=more) as limpet:
        done = limpet.run("-t")
        return done.returncode == 0, done.stderr


GOOD = ["server 127.0.0.1:6380; server [::1]; server unix:/run/redis.sock;", "server 127.0.0.1; sentinel mymaster;",
        "server 127.0.0.1; user limpet; password_file {keys}/right.pw;", "server 127.0.0.1; password_file {keys}/right.pw;",
        "server 127.0.0.1; database 3; prefix other:; connect_timeout 300ms; wait 20ms; max_waiting 5; queue 1k;",
        "server 127.0.0.1; tls on; tls_name redis.test; tls_verify off;"]


@pytest.mark.parametrize("block", GOOD)
def test_what_is_taken(keys, block):
    good, said = check(keys, block + KEY)
    assert good and "[warn]" not in said, said


@pytest.mark.parametrize("sticky", ["store=shared confirm", "store=shared delete=$upstream_http_x_logout", "delete=$cookie_gone"])
def test_what_sticky_learn_takes(keys, sticky):
    good, said = check(keys, SERVER + KEY, sticky)
    assert good and "[warn]" not in said, said


COMPLETE = SERVER + KEY
BAD = [(KEY, "server"), (SERVER, "key_file"), (SERVER + "key_file {keys}/short.key;", "short.key"),
       (SERVER + "key_file {keys}/none.key;", "none.key"), (COMPLETE + "password_file {keys}/none.pw;", "none.pw"),
       (COMPLETE + "password_file {keys}/empty.pw;", "empty.pw"), (COMPLETE + "user limpet;", "password_file"),
       (SERVER + "key_file {keys}/one.key {keys}/two.key; key_file {keys}/three.key;", "key_file"),
       ("server 127.0.0.1:99999;" + KEY, "99999"), ("server ;" + KEY, "server"), (COMPLETE + "wait 0;", "wait"),
       (COMPLETE + "wait 1h;", "wait"), (COMPLETE + "wait soon;", "soon"), (COMPLETE + "max_waiting 0;", "or greater than 1"),
       (COMPLETE + "queue 0;", "queue"), (COMPLETE + "database x;", "database"), (COMPLETE + "database -1;", "database"),
       (COMPLETE + 'prefix "a{b}";', "prefix"), (COMPLETE + "tls perhaps;", "perhaps"), (COMPLETE + "sentinel;", "sentinel"),
       (COMPLETE + "wait 1ms; wait 2ms;", "duplicate"), (COMPLETE + "wiat 1ms;", "wiat"),
       ("server unix:/a.sock; tls on;" + KEY, "unix:/a.sock"),
       (COMPLETE + "tls on; tls_certificate {keys}/one.key;", "tls_certificate_key")]


@pytest.mark.parametrize("block, word", BAD)
def test_what_is_refused(keys, block, word):
    good, said = check(keys, block)
    assert not good and word in said and "limpet.conf:" in said, said


@pytest.mark.parametrize("sticky, word", [("store=other", "other"), ("store=", "store"), ("confirm", "confirm"),
                                          ("store=shraed", "shared"), ("store=shared delete=", "delete")])
def test_what_sticky_learn_refuses(keys, sticky, word):
    good, said = check(keys, SERVER + KEY, sticky)
    assert not good and word in said and "limpet.conf:" in said, said


def test_a_second_store_of_that_name(keys):
    more = f"session_store shared {{ {SERVER}{KEY} }}".replace("{keys}", str(keys))
    good, said = check(keys, SERVER + KEY, more=more)
    assert not good and "duplicate" in said and "limpet.conf:" in said, said


def test_one_zone_has_one_store(keys):
    more = """upstream second { server 127.0.0.1:1;
              sticky learn create=$upstream_cookie_id lookup=$cookie_id zone=sessions:1m; }"""
    good, said = check(keys, SERVER + KEY, more=more)
    assert not good and "store" in said and "limpet.conf:" in said, said


def test_files_are_found_beside_the_configuration(keys):
    block = "server 127.0.0.1; key_file my.key; password_file my.pw;"
    with Limpet(CONFIG, start=False, block=block, sticky="store=shared", more="") as limpet:
        write_secret(limpet.path("my.key"))
        write_secret(limpet.path("my.pw"), b"open-sesame")
        assert limpet.run("-t").returncode == 0


@pytest.mark.parametrize("name", ["one.key", "right.pw"])
def test_a_secret_that_everybody_may_read(keys, name):
    os.chmod(keys / name, 0o644)
    good, said = check(keys, COMPLETE + "password_file {keys}/right.pw;")
    assert good and "[warn]" in said and name in said and "limpet.conf:" in said, said


def test_no_secret_in_a_dump(keys):
    block = (SERVER + KEY + "password_file {keys}/right.pw;").replace("{keys}", str(keys))
    with Limpet(CONFIG, start=False, block=block, sticky="store=shared", more="") as limpet:
        done = limpet.run("-T")
        assert done.returncode == 0 and "password_file" in done.stdout
        assert "sesame" not in done.stdout + done.stderr
        with open(os.path.join(keys, "one.key"), "rb") as file:
            assert file.read().hex() not in done.stdout
