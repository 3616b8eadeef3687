"""CONFIGS item 3: sticky cookie, with the backends in the same file."""
import hashlib
import signal

from client import get
from daemon import Limpet
from ports import free_port

CONFIG = """
worker_processes 2;
events { }
http {
    upstream my_upstream {
        server 127.0.0.1:{a};
        server 127.0.0.1:{b};
        sticky cookie my_cookie;
    }
    server { listen {a}; location / { return 200 a; } }
    server { listen {b}; location / { return 200 b; } }
    server {
        listen {port};
        location / { proxy_pass http://my_upstream; }
    }
}
"""


def md5(port):
    return hashlib.md5(f"127.0.0.1:{port}".encode()).hexdigest()


def test_the_cookie_is_nginxs_and_binds():
    a, b = free_port(), free_port()
    with Limpet(CONFIG, a=a, b=b) as limpet:
        for name, port in (("a", a), ("b", b)):
            for _ in range(6):
                assert get(limpet.port, cookies={"my_cookie": md5(port)}).text == name
        first = get(limpet.port)
        assert first.cookie("my_cookie") == md5({"a": a, "b": b}[first.text])


def test_an_unknown_value_is_replaced():
    a, b = free_port(), free_port()
    with Limpet(CONFIG, a=a, b=b) as limpet:
        response = get(limpet.port, cookies={"my_cookie": "0" * 32})
        assert response.cookie("my_cookie") in (md5(a), md5(b))


def test_when_its_server_is_gone_the_client_gets_another_and_its_value(origins):
    a, b = origins("a", "b")
    servers = CONFIG.split("    server { listen {a}")[0] + "    server {\n        listen {port};" + CONFIG.split(
        "        listen {port};")[1]
    with Limpet(servers, a=a.port, b=b.port) as limpet:
        assert get(limpet.port, cookies={"my_cookie": md5(a.port)}).text == "a"
        a.stop()
        response = get(limpet.port, cookies={"my_cookie": md5(a.port)})
        assert (response.status, response.text, response.cookie("my_cookie")) == (200, "b", md5(b.port))
        assert limpet.end(signal.SIGQUIT) == 0


def test_the_operator_chooses_the_attributes():
    a, b = free_port(), free_port()
    chosen = "sticky cookie my_cookie path=/$arg_path max-age=60 Note=$arg_note httponly;"
    with Limpet(CONFIG.replace("sticky cookie my_cookie;", chosen), a=a, b=b) as limpet:
        cookie = get(limpet.port, "/?path=shop&note=x").header("Set-Cookie")
        assert cookie.split("; ")[1:] == ["httponly", "path=/$arg_path", "max-age=60", "Note=x"]
        cookie = get(limpet.port).header("Set-Cookie")
        assert cookie.split("; ")[1:] == ["httponly", "path=/$arg_path", "max-age=60"]  # path= is text, as in nginx
