"""Coming from another proxy: each pair of lines means the same, as far as the products are here to say so, and sessions stay."""
import re
import shutil
import subprocess

import pytest
import yaml

import configurations
import pages
from client import get
from daemon import Limpet
from origin import Reply
from waiting import wait_until

PAGE = "MIGRATING.md"
BLOCKS = pages.blocks(PAGE)


def ours(text):
    """The configuration here that has these words."""
    [found] = [block for block in BLOCKS if block.language == "nginx" and block.kind not in ("theirs",) and text in block.text]
    return found


def of(language, kind=None):
    return [block for block in BLOCKS if block.language == language and kind in (None, block.kind)]


@pytest.mark.parametrize("block", of("haproxy"), ids=lambda block: block.where)
def test_haproxys_side_is_haproxys(tmp_path, block):
    if not shutil.which("haproxy"):
        pytest.skip("no haproxy here")
    head = "defaults\n    mode http\n    timeout connect 5s\n    timeout client 5s\n    timeout server 5s\n"
    (tmp_path / "haproxy.cfg").write_text(head + "frontend in\n    bind 127.0.0.1:8080\n    default_backend app\n" + block.text)
    done = subprocess.run(["haproxy", "-c", "-f", str(tmp_path / "haproxy.cfg")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", of("yaml"), ids=lambda block: block.where)
def test_the_yaml_side_is_yaml(block):
    assert yaml.safe_load(block.text)


def test_each_side_has_another():
    theirs = of("haproxy") + of("nginx", "theirs") + of("yaml")
    for block in theirs:
        following = BLOCKS[BLOCKS.index(block) + 1]
        assert following.language == "nginx" and following.kind != "theirs", block.where
        addresses = set(re.findall(r"10\.0\.0\.\d+:8080", block.text))
        assert addresses <= set(re.findall(r"10\.0\.0\.\d+:8080", following.text)), following.where


def test_what_is_read_as_it_stands_is(tmp_path):
    configurations.furnish(tmp_path)
    for words in ("ip_hash;", "sync;", "sid=a;\n    server 10.0.0.2:8080 sid=b;\n    sticky cookie srv;"):
        [block] = [block for block in of("nginx", "theirs") if words in block.text]
        done = configurations.check(f"events {{ }}\nhttp {{ {block.text} }}\n", tmp_path)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", ["session_sticky", "sticky name="])
def test_what_is_refused_says_what_to_write(tmp_path, words):
    [theirs] = [block for block in of("nginx", "theirs") if words in block.text]
    following = BLOCKS[BLOCKS.index(theirs) + 1]
    done = configurations.check(f"events {{ }}\nhttp {{ {theirs.text} }}\n", tmp_path)
    assert done.returncode == 1
    said = re.search(r"write instead: (.*?) in \S+:\d+$", done.stderr, re.MULTILINE)[1]
    assert said in following.text


def site(block, origins, more=""):
    """A limpet with a block's configuration before two real servers. Its health checks are left to the server that has them."""
    a, b = origins
    text = configurations.whole(block).replace("10.0.0.1:8080", f"127.0.0.1:{a.port}").replace("10.0.0.2:8080", f"127.0.0.1:{b.port}")
    text = re.sub(r"server \{ location / \{ proxy_pass http://app; \} \}", "server { listen 127.0.0.1:{port}; location / { proxy_pass http://app; } }", text)
    text = text.replace("listen 80;", "listen 127.0.0.1:{port};")
    if "listen" not in text:
        text = text.rstrip()[:-1] + " server { listen 127.0.0.1:{port}; location / { proxy_pass http://app; } } }"
    return Limpet(text.replace("timeout=10m", "timeout=10m" + more), workers=2)


def cookie_giver(name):
    """An application that gives whoever has none a session of its own."""
    def respond(request):
        if f"{name}=" in (request.header("cookie") or "") or request.target == "/health":
            return Reply(b"")
        respond.given += 1
        return Reply(b"", headers=[("Set-Cookie", f"{name}=s{id(respond)}x{respond.given}")])
    respond.given = 0
    return respond


def served(origins, action):
    """Which of the origins a request went to."""
    before = [len([r for r in origin.requests if r.target != "/health"]) for origin in origins]
    response = action()
    after = [len([r for r in origin.requests if r.target != "/health"]) for origin in origins]
    [index] = [i for i in range(len(origins)) if after[i] > before[i]]
    return index, response


@pytest.mark.parametrize("words, name", [("create=$upstream_cookie_sid lookup=$cookie_sid zone=sessions:1m timeout=1h;", "sid"),
                                         ("create=$upstream_cookie_JSESSIONID", "JSESSIONID")])
def test_learned_sessions_stay(origins, words, name):
    both = origins("a", "b")
    for origin in both:
        origin.respond = cookie_giver(name)
    with site(ours(words), both) as limpet:
        homes = {}
        for _ in range(6):
            index, response = served(both, lambda: get(limpet.port))
            homes[response.cookie(name)] = index
        assert set(homes.values()) == {0, 1}, "new sessions go to both"
        for value, home in homes.items():
            for _ in range(3):
                assert served(both, lambda: get(limpet.port, cookies={name: value}))[0] == home


def test_sessions_by_address_stay(origins):
    both = origins("a", "b")
    with site(ours("create=$binary_remote_addr"), both) as limpet:
        home = served(both, lambda: get(limpet.port))[0]
        assert {served(both, lambda: get(limpet.port))[0] for _ in range(6)} == {home}


@pytest.mark.parametrize("words, name", [("sticky cookie SRV path=/ httponly secure;", "SRV"),
                                         ("sticky cookie srv secure httponly samesite=lax max-age=3600 path=/;", "srv"),
                                         ("sticky_secret change-me", "srv")])
def test_a_cookie_is_inserted_and_leads_back(origins, words, name):
    both = origins("a", "b")
    with site(ours(words), both) as limpet:
        seen = {}
        for _ in range(6):
            index, response = served(both, lambda: get(limpet.port))
            seen[response.cookie(name)] = index
            line = response.header("set-cookie").lower()
            assert "path=/" in line
            assert ("httponly" in line and "secure" in line) == ("httponly" in words)
        assert set(seen.values()) == {0, 1}
        for value, home in seen.items():
            for _ in range(3):
                assert served(both, lambda: get(limpet.port, cookies={name: value}))[0] == home


def test_haproxys_values_are_the_routes(origins):
    both = origins("a", "b")
    with site(ours("sticky cookie SRV path=/ httponly secure;"), both) as limpet:
        assert {get(limpet.port).cookie("SRV") for _ in range(6)} == {"s1", "s2"}
        assert served(both, lambda: get(limpet.port, cookies={"SRV": "s2"}))[0] == 1


def test_redispatch(origins):
    """The server of a session goes: the client is served by the other one, and stays there."""
    both = origins("a", "b")
    with site(ours("sticky cookie SRV path=/ httponly secure;"), both) as limpet:
        both[0].stop()
        response = get(limpet.port, cookies={"SRV": "s1"})
        assert (response.status, response.cookie("SRV")) == (200, "s2")


def test_without_redispatch(origins):
    both = origins("a", "b")
    block = ours("sticky cookie SRV path=/ httponly secure;")
    wanted = re.search(r"refused: `(sticky_policy [^`]*)`", pages.read(PAGE))[1]
    changed = re.sub(r"sticky_policy on_down=rebind", wanted, block.text)
    with site(pages.Block(block.page, block.line, block.language, block.kind, changed), both) as limpet:
        both[0].stop()
        wait_until(lambda: get(limpet.port, cookies={"SRV": "s1"}).status == 503, "a refusal")
