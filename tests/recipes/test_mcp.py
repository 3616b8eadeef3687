"""MCP's own SDK, server and client: messages, events, the end, and what becomes of a session whose server is away."""
import pytest

from node import NodeClient, node_servers
from recipe import Recipe

CLIENTS = 6


@pytest.fixture
def servers():
    with node_servers("mcp.cjs", "a", "b") as pair:
        yield pair


def begin(client):
    """Sessions and the servers where they have begun."""
    homes = {}
    for name in range(CLIENTS):
        client.ask("connect", name=name)
        homes[name] = client.ask("say", name=name)["server"]
    assert set(homes.values()) == {"a", "b"}
    return homes


def test_sessions_stay_and_hear_their_events(servers):
    with Recipe("mcp", *servers) as limpet, NodeClient("mcp.cjs", limpet.port) as client:
        homes = begin(client)
        for visits in range(2, 6):
            for name, home in homes.items():
                assert client.ask("say", name=name) == {"server": home, "visits": visits}
        limpet.reload_beneath()
        for visits in range(6, 10):
            for name, home in homes.items():
                assert client.ask("say", name=name) == {"server": home, "visits": visits}
        for name, home in homes.items():
            heard = client.ask("events", name=name, visits=9)["events"]
            assert {event["server"] for event in heard} == {home} and heard[-1]["visits"] == 9


def test_a_delete_ends_the_session(servers):
    with Recipe("mcp", *servers) as limpet, NodeClient("mcp.cjs", limpet.port) as client:
        homes = begin(client)
        assert limpet.sessions("mcp_sessions") == CLIENTS
        for left, name in reversed(list(enumerate(homes))):
            client.ask("end", name=name)
            assert limpet.sessions("mcp_sessions") == left


@pytest.mark.parametrize("on_down", ["fail=404", "rebind"])
def test_a_session_whose_server_is_away_begins_anew(servers, on_down):
    def policy(config):
        return config.replace("sticky_policy on_down=fail=404", f"sticky_policy on_down={on_down}")

    with Recipe("mcp", *servers, change=policy) as limpet, NodeClient("mcp.cjs", limpet.port) as client:
        homes = begin(client)
        servers[0].stop()
        for name, home in homes.items():
            expected = {"server": "b", "visits": 2} if home == "b" else {"server": "b", "visits": 1, "began_anew": True}
            assert client.ask("say", name=name) == expected
        for name, home in homes.items():
            assert client.ask("say", name=name) == {"server": "b", "visits": 3 if home == "b" else 2}
