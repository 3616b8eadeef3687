"""session_store in whole configurations: what -t says of them, and that no output has their secrets."""
import os

from daemon import Limpet

PASSWORD = "swordfish-of-redis"
KEY = "key-bytes-of-the-cluster-0123456789"
CONFIG = """
events { }
http {
    upstream app {
        server 127.0.0.1:1;
        sticky learn create=$upstream_cookie_s lookup=$cookie_s zone=sessions:1m store=shared confirm
                     delete=$upstream_http_x_logout;
    }
    session_store shared {
        server 127.0.0.1:6379;
        password_file redis.pw;
        key_file cluster.key;
        {more}
    }
    server { listen {port}; location / { proxy_pass http://app; } }
}
"""


def prepared(more="", config=CONFIG):
    limpet = Limpet(config, start=False, more=more)
    for name, text in (("redis.pw", PASSWORD + "\n"), ("cluster.key", KEY + "\n")):
        limpet.write(text, name)
        os.chmod(limpet.path(name), 0o600)
    return limpet


def without_secrets(result):
    for secret in (PASSWORD, KEY):
        assert secret not in result.stdout + result.stderr
    return result


def test_a_good_one_tests_well():
    with prepared() as limpet:
        result = without_secrets(limpet.run("-t"))
        assert result.returncode == 0, result.stderr
        assert "[warn]" not in result.stderr and "is used by no" not in result.stderr
        assert f"limpet: configuration file {limpet.path('limpet.conf')} test is successful\n" in result.stderr


def test_a_wrong_one_is_an_error_with_its_place():
    with prepared("key_file /nowhere/key;") as limpet:
        result = without_secrets(limpet.run("-t"))
        assert result.returncode == 1
        assert (f'limpet: [emerg] open() "/nowhere/key" failed (2: No such file or directory) in '
                f"{limpet.path('limpet.conf')}:13\n") in result.stderr
        assert "test failed" in result.stderr


def test_one_that_nobody_uses_is_a_notice():
    with prepared(config=CONFIG.replace("store=shared confirm", "")) as limpet:
        result = without_secrets(limpet.run("-t"))
        assert result.returncode == 0, result.stderr
        assert (f'session_store "shared" is used by no "sticky learn": store=shared does that in '
                f"{limpet.path('limpet.conf')}:9\n") in result.stderr


def test_a_dump_names_the_files_of_secrets_and_not_the_secrets():
    with prepared() as limpet:
        result = without_secrets(limpet.run("-T"))
        assert result.returncode == 0, result.stderr
        assert "password_file redis.pw;" in result.stdout and "key_file cluster.key;" in result.stdout


def test_secrets_open_to_all_are_told_of_by_name_alone():
    with prepared() as limpet:
        os.chmod(limpet.path("redis.pw"), 0o644)
        result = without_secrets(limpet.run("-t", "-q"))
        assert result.returncode == 0
        assert result.stderr == (f'limpet: [warn] everybody may read "{limpet.path("redis.pw")}", which holds a secret in '
                                 f"{limpet.path('limpet.conf')}:11\n")
