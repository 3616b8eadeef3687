"""Sessions under the key before the present one, which no store has, over stops, kills and starts that fail."""
import glob
import os

import pytest

from machines import STORE, Machines, write_secret
from ports import free_port

TOO_LARGE = """store=shared;
    }
    upstream other {
        server 127.0.0.1:9;
        sticky learn create=$cookie_other lookup=$cookie_other zone=other:800000m"""


@pytest.fixture
def machine():
    """One with 20 sessions from before its key was changed: `homes`. Its store is never there."""
    machines = Machines(count=0, ready=False, where=f"server 127.0.0.1:{free_port()};", wait="20ms")
    with machines:
        write_secret(f"{machines.keys}/two.key")
        made = machines.add(stores=STORE)
        made.homes = {f"s{i}": made.login(f"s{i}") for i in range(20)}
        use_key(made, "two")
        made.reload()
        made.wait_log("20 sessions are found under their earlier key")
        yield made


def use_key(machine, name):
    machine.values["key_file"] = f"key_file {{keys}}/{name}.key;"
    machine.write()


def check(machine):
    assert {machine.sticky(session) for session in machine.homes} == {"hit"}
    assert machine.visit_all(machine.homes) == machine.homes


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_key_that_is_taken_back_finds_its_sessions_again(machine, how):
    machine.homes["later"] = machine.login("later")
    for key in ("one", "two"):
        machine.end() if how == "stopped" else machine.kill_all()
        use_key(machine, key)
        machine.start()
        check(machine)


def test_those_without_memory_wait_in_their_snapshot(machine):
    in_the_way = machine.zone_path(machine.zone) + ".earlier"
    machine.end()
    os.mkdir(in_the_way)
    machine.start()
    machine.end()
    os.rmdir(in_the_way)
    machine.start()
    check(machine)


def test_a_start_that_is_refused_leaves_them_where_they_were(machine):
    """In memory only, the snapshot could not be written; the zone's own memory is made anew."""
    machine.kill_all()
    os.unlink(machine.zone_path(machine.zone))
    for path in glob.glob(machine.path("state/*.earlier")):
        os.unlink(path)
    machine.values["sticky"] = TOO_LARGE
    machine.write()
    refused = machine.run()
    assert refused.returncode == 1, refused
    machine.values["sticky"] = "store=shared"
    machine.write()
    machine.start()
    check(machine)
