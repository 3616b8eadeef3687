"""autoindex: what a folder without an index file shows."""
import json
import os

import pytest

from client import get
from daemon import Limpet

CONFIG = """
events { }
http {
    server {
        listen {port};
        root {dir}/www;
        location / { autoindex on; }
        location /off/ { alias {dir}/www/; }
        location /short/ { alias {dir}/www/; autoindex on; autoindex_exact_size off; }
        location /json/ { alias {dir}/www/; autoindex on; autoindex_format json; }
        location /jsonp/ { alias {dir}/www/; autoindex on; autoindex_format jsonp; }
        location /xml/ { alias {dir}/www/; autoindex on; autoindex_format xml; }
        location /utf8/ { alias {dir}/www/; autoindex on; charset utf-8; }
        location /none/ { alias {dir}/nowhere/; autoindex on; }
    }
}
"""
LONG = "l" * 60


@pytest.fixture(scope="module")
def limpet():
    running = Limpet(CONFIG, workers=1, start=False)
    for name, text in {"b&.txt": "12345", "a.bin": "x" * 20000, "sub/x": "", ".hidden": "", LONG: "",
                       "with/index.html": "INDEX", "ümlaut": ""}.items():
        path = os.path.join(running.dir, "www", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as out:
            out.write(text)
        os.utime(path, (1700000000, 1700000000))
    os.utime(running.path("www/sub"), (1700000000, 1700000000))
    with running:
        running.start()
        yield running


def test_a_page(limpet):
    response = get(limpet.port, "/")
    assert response.status == 200 and response.header("content-type") == "text/html"
    lines = response.text.split("\r\n")
    assert lines[1] == "<head><title>Index of /</title></head>"
    assert lines[3] == '<h1>Index of /</h1><hr><pre><a href="../">../</a>'
    assert lines[4] == '<a href="sub/">sub/</a>' + " " * 46 + " 14-Nov-2023 22:13                   -"
    assert lines[6] == '<a href="a.bin">a.bin</a>' + " " * 45 + " 14-Nov-2023 22:13               20000"
    assert lines[7].startswith('<a href="b%26.txt">b&amp;.txt</a>') and lines[7].endswith(" 5")
    assert lines[8].startswith(f'<a href="{LONG}">{LONG[:47]}..&gt;</a> 14-Nov')
    assert "hidden" not in response.text
    assert get(limpet.port, "/", method="HEAD").status == 200


def test_what_else_is_there(limpet):
    assert get(limpet.port, "/with/").text == "INDEX"
    assert get(limpet.port, "/off/").status == 403
    assert get(limpet.port, "/none/").status == 404
    assert get(limpet.port, "/", method="POST", body=b"x").status == 403
    assert get(limpet.port, "/sub").status == 301
    assert "14-Nov-2023 22:13     20K\r\n" in get(limpet.port, "/short/").text
    assert ">ümlaut</a>" + " " * 44 + " 14-Nov" in get(limpet.port, "/utf8/").text


def test_programs(limpet):
    response = get(limpet.port, "/json/")
    assert response.header("content-type") == "application/json"
    entries = {entry["name"]: entry for entry in json.loads(response.text)}
    assert entries["sub"] == {"name": "sub", "type": "directory", "mtime": "Tue, 14 Nov 2023 22:13:20 GMT"}
    assert entries["b&.txt"]["size"] == 5 and entries["b&.txt"]["type"] == "file"
    called = get(limpet.port, "/jsonp/?callback=me.it")
    assert called.text == "/* callback */\r\nme.it(" + response.text + ");"
    assert called.header("content-type") == "application/javascript"
    assert get(limpet.port, "/jsonp/").text == response.text
    assert get(limpet.port, "/jsonp/?callback=alert(1)").status == 400
    xml = get(limpet.port, "/xml/")
    assert xml.header("content-type") == "text/xml; charset=utf-8"
    assert '<directory mtime="2023-11-14T22:13:20Z">sub</directory>\r\n' in xml.text
    assert '<file mtime="2023-11-14T22:13:20Z" size="5">b&amp;.txt</file>\r\n' in xml.text
