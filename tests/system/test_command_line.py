"""Options: -t, -T, -q, -v, -V, -s, -h, and what is wrong with the rest."""
import os
import re
import subprocess

import pytest

from client import get
from daemon import BINARY, Limpet
from ports import free_port
from waiting import PATIENCE, wait_until

CONFIG = """
events { }
http {
    upstream app {
        server 127.0.0.1:1;
        sticky learn create=$upstream_cookie_s lookup=$cookie_s zone=sessions:1m;
    }
    include more.conf;
    server { listen {port}; server_name localhost; location / { return 200 ok; } }
}
"""


def prepared(config=CONFIG, **options):
    limpet = Limpet(config, start=False, **options)
    limpet.write("server { listen {port}; server_name more; }\n", "more.conf")
    return limpet


def plain(*args):
    return subprocess.run([BINARY, *args], capture_output=True, text=True, timeout=PATIENCE)


def test_a_good_configuration_tests_well_and_names_its_zones():
    with prepared() as limpet:
        result = limpet.run("-t")
        file = limpet.path("limpet.conf")
        assert result.returncode == 0, result.stderr
        assert f"limpet: the configuration file {file} syntax is ok\n" in result.stderr
        assert f"limpet: configuration file {file} test is successful\n" in result.stderr
        holds = re.search(r'session zone "sessions" of 1048576 bytes holds (\d+) sessions', result.stderr)
        assert int(holds[1]) >= 36000


def test_quiet_says_nothing_when_all_is_well():
    with prepared() as limpet:
        result = limpet.run("-t", "-q")
        assert (result.returncode, result.stderr, result.stdout) == (0, "", "")


def test_quiet_still_warns():
    with prepared(CONFIG.replace("include more.conf;", "include more.conf; include more.conf;")) as limpet:
        result = limpet.run("-t", "-q")
        assert result.returncode == 0
        assert re.fullmatch(r'limpet: \[warn\] conflicting server name "more" on 0.0.0.0:\d+, ignored in \S+more.conf:1\n', result.stderr)


def test_an_address_that_cannot_be_ours_fails_the_test_one_in_use_does_not():
    with prepared(CONFIG.replace("listen {port};", "listen 192.0.2.1:{other};"), other=free_port()) as limpet:
        result = limpet.run("-t")
        assert result.returncode == 1
        assert "[emerg] bind() to 192.0.2.1:" in result.stderr and "(99: Cannot assign requested address)" in result.stderr
    with prepared() as limpet:
        limpet.start()
        assert limpet.run("-t").returncode == 0


def test_a_second_one_says_which_address_is_in_use():
    with prepared() as limpet:
        limpet.start()
        result = limpet.run()
        assert result.returncode == 1
        assert f"[emerg] bind() to 0.0.0.0:{limpet.port} failed (98: Address already in use), still could not bind()" in result.stderr


def test_a_wrong_directive_of_the_command_line_has_no_line():
    with prepared() as limpet:
        result = plain("-p", limpet.dir + "/", "-c", "limpet.conf", "-e", "error.log", "-t", "-g", "nope on;")
        assert '[emerg] unknown directive "nope"' in result.stderr and "in command line\n" in result.stderr


def test_a_wrong_configuration_is_an_error_with_file_and_line():
    with prepared(CONFIG.replace("include more", "inklude more")) as limpet:
        result = limpet.run("-t")
        file = limpet.path("limpet.conf")
        assert result.returncode == 1
        assert re.search(rf'\[emerg\] .*unknown directive "inklude".* in {file}:8', result.stderr), result.stderr
        assert f"limpet: configuration file {file} test failed" in result.stderr
        assert "[emerg]" in limpet.log()


def test_the_dump_holds_each_file_as_it_is():
    with prepared() as limpet:
        result = limpet.run("-T")
        assert result.returncode == 0
        for name in ("limpet.conf", "more.conf"):
            with open(limpet.path(name)) as text:
                assert result.stdout.count(f"# configuration file {limpet.path(name)}:\n{text.read()}") == 1


def test_versions_and_help():
    assert "limpet version: limpet/" in plain("-v").stderr
    build = plain("-V").stderr
    assert build.startswith("limpet version: limpet/")
    assert "nginx/" not in build and "configure arguments" not in build
    build = plain("-V", "-g", "compatible nginx;").stderr
    assert re.search(r"^nginx version: nginx/\d+\.\d+\.\d+", build, re.M)
    assert re.search(r"^configure arguments: --with-", build, re.M)
    assert "Usage: limpet" in plain("-h").stderr


def test_a_file_that_is_not_there_names_no_limpet_to_end():
    with prepared() as limpet:
        limpet.start()
        for signal in ("stop", "quit"):
            result = plain("-p", limpet.dir + "/", "-c", "limpit.conf", "-s", signal)
            assert result.returncode == 1
            assert f'[emerg] open() "{limpet.path("limpit.conf")}" failed (2: No such file or directory)' in result.stderr
        assert limpet.process.poll() is None
        assert get(limpet.port).status


def test_what_is_said_does_not_stand_in_for_a_test():
    with prepared() as limpet:
        result = limpet.run("-tv")
        assert result.returncode == 0 and "limpet version: limpet/" in result.stderr
        assert "test is successful" in result.stderr
        with open(limpet.path("limpet.conf"), "a") as text:
            text.write("inklude more.conf;")
        for option in ("-tv", "-Vt", "-ht"):
            result = limpet.run(option)
            assert result.returncode == 1 and "test failed" in result.stderr, option
        result = limpet.run("-t", "-s", "stop")
        assert result.returncode == 1 and "test failed" in result.stderr


def test_wrong_options():
    for args, says in ((["-x"], 'invalid option: "x"'), (["word"], 'unknown command "word"'),
                       (["-s", "dance"], 'invalid option: "-s dance"'), (["-c"], 'option "-c" requires file name')):
        result = plain(*args)
        assert result.returncode == 1 and says in result.stderr


def test_signals_by_name():
    with prepared() as limpet:
        limpet.start()
        assert limpet.run("-s", "reload").returncode == 0
        limpet.wait_log("reconfiguring")
        assert limpet.run("-s", "reopen").returncode == 0
        limpet.wait_log("reopening logs")
        assert get(limpet.port).text == "ok"
        assert limpet.run("-s", "quit").returncode == 0
        assert limpet.process.wait(PATIENCE) == 0


def test_a_signal_to_nobody_is_an_error():
    with prepared() as limpet:
        limpet.run("-t")  # makes the log, which a signal does not
        result = limpet.run("-s", "stop")
        assert result.returncode == 1
        assert f'open() "{limpet.path("limpet.pid")}" failed (2: No such file or directory)' in result.stderr


def test_as_a_daemon_the_command_returns_and_the_service_stays():
    with prepared() as limpet:
        command = [word.replace("daemon off;", "daemon on;") for word in limpet.command()]
        result = subprocess.run(command, stdin=subprocess.DEVNULL, timeout=PATIENCE)
        assert result.returncode == 0
        wait_until(lambda: limpet.log_lines("start worker process "), "a worker")
        assert get(limpet.port).text == "ok"
        stop = subprocess.run([*command, "-s", "stop"], timeout=PATIENCE)
        assert stop.returncode == 0
        limpet.wait_log(r"\[notice\].* exit$")


def test_a_daemon_that_cannot_start_tells_whoever_started_it():
    with prepared() as limpet:
        os.mkdir(limpet.path("limpet.pid"))  # no file can be put there
        command = [word.replace("daemon off;", "daemon on;") for word in limpet.command()]
        assert subprocess.run(command, stdin=subprocess.DEVNULL, timeout=PATIENCE).returncode == 1
        assert limpet.log_lines(r"\[emerg\].*limpet.pid")
        os.rmdir(limpet.path("limpet.pid"))


def test_closed_standard_streams_do_no_harm():
    with prepared() as limpet:
        command = limpet.command()
        limpet.process = subprocess.Popen(["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command])
        wait_until(limpet._started, "the pid file")
        assert get(limpet.port).text == "ok"


def test_what_it_calls_itself():
    config = """
        %s
        events { }
        http { server { listen {port}; location /off { server_tokens off; } } }
    """
    for directive, name in (("", "limpet/"), ("compatible nginx;", "nginx/")):
        with Limpet(config % directive, workers=1) as limpet:
            page = get(limpet.port, "/none")
            assert page.header("server").startswith(name) and name.encode() in page.body
            assert get(limpet.port, "/off").header("server") == name.rstrip("/")
            assert b"404 Not Found" in page.body and (b"<center>" in page.body) == (name == "nginx/")
    with Limpet(config % "compatible apache;", start=False) as limpet:
        assert 'invalid value "apache"' in limpet.run("-t").stderr


def test_a_working_directory_may_hold_what_it_likes():
    with Limpet("events { }\nworking_directory {dir}/web;", start=False) as limpet:
        os.makedirs(limpet.path("web/core"))
        tried = limpet.run("-t")
        assert tried.returncode == 0, tried


@pytest.mark.parametrize("line, says", [
    ("working_directory /nowhere;", 'chdir("/nowhere") failed (2: No such file or directory)'),
    ("working_directory {config};", 'chdir("{config}") failed (20: Not a directory)'),
    ("http { proxy_temp_path {config}/proxy; server { listen {port}; } }", 'mkdir() "{config}/proxy" failed (20: Not a directory)')])
def test_a_place_that_cannot_be_used_is_told_by_t(line, says):
    with Limpet("events { }\n", start=False) as limpet:
        config = limpet.path("limpet.conf")
        limpet.write("events { }\n" + line.replace("{config}", config))
        tried = limpet.run("-t")
        assert tried.returncode == 1
        assert f"[emerg] {says.replace('{config}', config)} in {config}:2" in tried.stderr
