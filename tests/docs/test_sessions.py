"""What docs/sessions.md tells users, tried with requests."""
import re

import configurations
import pages
from client import get
from daemon import Limpet

PAGE = pages.read("docs/sessions.md")


def route_site(uri_map, origins):
    a, b = origins
    [block] = [block for block in pages.blocks("docs/sessions.md") if "sticky route" in block.text and "by_uri" in block.text]
    text = re.sub(r"^map \$request_uri .*$", lambda _: uri_map or _[0], block.text, flags=re.MULTILINE)
    text = text.replace("10.0.0.1:8080", f"127.0.0.1:{a.port}").replace("10.0.0.2:8080", f"127.0.0.1:{b.port}")
    text += "server { listen 127.0.0.1:{port}; location / { proxy_pass http://app; } }"
    return Limpet(configurations.whole(pages.Block(block.page, block.line, "nginx", "http", text)), workers=1)


def goes_to_two(limpet, target, **more):
    return {get(limpet.port, target, **more).text for _ in range(4)} == {"two"}


def test_a_route_in_the_uri_is_found_before_a_query_too(origins):
    both = origins("one", "two")
    with route_site(None, both) as limpet:
        assert goes_to_two(limpet, "/cart;jsessionid=1.tomcat2?page=2")
        assert goes_to_two(limpet, "/cart;jsessionid=1.tomcat2")
        assert goes_to_two(limpet, "/cart", cookies={"JSESSIONID": "1.tomcat2"})


def test_the_map_that_is_often_shown_finds_nothing_there(origins):
    """As the page says; if it did, the page would be wrong."""
    shown = re.search(r"often shown for nginx, `(~[^`]*)`", PAGE)[1]
    with route_site(f'map $request_uri $by_uri {{ "{shown}" $route; }}', origins("one", "two")) as limpet:
        assert not goes_to_two(limpet, "/cart;jsessionid=1.tomcat2?page=2")
        assert goes_to_two(limpet, "/cart;jsessionid=1.tomcat2")


def test_failback_idle_needs_learn(tmp_path):
    done = configurations.check("events { }\nhttp { upstream app { server 127.0.0.1:1; sticky cookie srv; sticky_policy failback=idle; } }\n",
                                tmp_path)
    assert done.returncode == 1 and '"failback=idle" requires "sticky learn"' in done.stderr
