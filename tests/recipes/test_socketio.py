"""Socket.IO's own server and client: polling alone, and WebSockets after it."""
import pytest

from node import NodeClient, node_servers
from recipe import Recipe

CLIENTS = 6
POLLING, UPGRADED = ["polling"], ["polling", "websocket"]


@pytest.fixture(scope="module", params=["socketio", "socketio-cookie"])
def setting(request):
    """The recipe, its servers, and what its clients say."""
    by_its_own = request.param == "socketio"
    with node_servers("socketio.cjs", "a", "b", arguments=["cookie"] if by_its_own else []) as pair:
        yield request.param, pair, {"withCredentials": not by_its_own}


@pytest.mark.parametrize("transports", [POLLING, UPGRADED], ids=["polling", "websocket"])
def test_connections_stay(setting, transports):
    recipe, servers, options = setting
    with Recipe(recipe, *servers) as limpet, NodeClient("socketio.cjs", limpet.port) as client:
        homes = {}

        def all_say(visits):
            for name in homes:
                assert client.ask("say", name=name) == {"server": homes[name], "visits": visits}

        for name in range(CLIENTS):
            assert client.ask("connect", name=name, transports=transports, **options) == {"transport": transports[-1]}
            homes[name] = client.ask("say", name=name)["server"]
        assert set(homes.values()) == {"a", "b"}
        for visits in range(2, 8):
            all_say(visits)
        limpet.reload_beneath()
        for visits in range(8, 16):
            all_say(visits)
