"""Microsoft's SignalR client over its three transports, before servers that imitate a hub (servers/signalr.cjs)."""
import pytest

from node import NodeClient, node_servers
from recipe import Recipe

CLIENTS = 4


@pytest.fixture(scope="module")
def servers():
    with node_servers("signalr.cjs", "a", "b") as pair:
        yield pair


@pytest.mark.parametrize("transport", ["WebSockets", "ServerSentEvents", "LongPolling"])
def test_connections_stay(servers, transport):
    with Recipe("signalr", *servers) as limpet, NodeClient("signalr.cjs", limpet.port) as client:
        homes = {}
        for name in range(CLIENTS):
            client.ask("connect", name=name, transport=transport)
            homes[name] = client.ask("say", name=name)["server"]
        assert set(homes.values()) == {"a", "b"}
        for visits in range(2, 12):
            if visits == 6:
                limpet.reload_beneath()
            for name, home in homes.items():
                assert client.ask("say", name=name) == {"server": home, "visits": visits}
        for name in homes:
            client.ask("end", name=name)
