"""CONFIGS item 2: ip_hash, hash of a header, and hash ... consistent."""
from client import get
from daemon import Limpet

CONFIG = """
events { }
http {
    upstream app {
        {method}
        {servers}
    }
    server {
        listen {port};
        location / { proxy_pass http://app; }
    }
}
"""


def config(method, origins):
    servers = " ".join(f"server 127.0.0.1:{origin.port};" for origin in origins)
    return CONFIG.replace("{method}", method).replace("{servers}", servers)


def spread(limpet, count=120):
    """Which origin serves each of so many addresses."""
    return {i: get(limpet.port, headers=[("X-Forwarded-For", f"10.0.{i % 7}.{i}")]).text for i in range(count)}


def test_ip_hash_keeps_a_client_at_its_server(origins):
    with Limpet(config("ip_hash;", origins("a", "b", "c")), workers=2) as limpet:
        assert len({get(limpet.port).text for _ in range(12)}) == 1


def test_hash_of_a_header_spreads_and_repeats(origins):
    with Limpet(config("hash $http_x_forwarded_for;", origins("a", "b")), workers=2) as limpet:
        first = spread(limpet)
        assert set(first.values()) == {"a", "b"}
        assert spread(limpet) == first


def test_a_consistent_hash_moves_only_the_share_of_the_server_that_goes(origins):
    three = origins("a", "b", "c")
    method = "hash $http_x_forwarded_for consistent;"
    with Limpet(config(method, three), workers=2) as limpet:
        before = spread(limpet)
        assert set(before.values()) == {"a", "b", "c"}
        limpet.reload(config(method, three[:2]))
        after = spread(limpet)
        assert {i: to for i, to in after.items() if before[i] != "c"} == {
            i: to for i, to in before.items() if to != "c"}
