"""root, alias, index, try_files; conditions, ranges and compression of what they serve."""
import gzip
import os
import re

import pytest

from client import get
from daemon import Limpet

CONFIG = """
events { }
http {
    types { text/html html; text/plain txt; }
    default_type application/octet-stream;
    absolute_redirect off;
    server {
        listen {port};
        root {dir}/www;
        location / { }
        location /aliased/ { alias {dir}/www/sub/; }
        location /try/ { try_files $uri $uri/ /fallback.html; }
        location = /code { try_files /nowhere =410; }
        location = /named { try_files /nowhere @named; }
        location @named { return 200 "named $uri"; }
        location /zip/ { alias {dir}/www/; gzip on; gzip_vary on; gzip_types text/plain; }
        location /fields/ {
            alias {dir}/www/;
            expires 60;
            add_header X-Some some;
            add_header X-Always always always;
            location /fields/paged/ { alias {dir}/www/; error_page 416 @page; }
        }
        location @page { add_header X-Always always always; return 200 page; }
        location /named/ { alias {dir}/www/; gzip_static on; charset utf-8; }
        location /dated/ {
            add_header Last-Modified then always;
            location = /dated/200 { return 200; }
            location = /dated/301 { return 301 /; }
            location = /dated/404 { return 404; }
        }
        location /few/ { alias {dir}/www/; max_ranges 1; }
    }
}
"""
TEXT = "".join(f"line {i}\n" for i in range(2000)).encode()


@pytest.fixture(scope="module")
def limpet():
    daemon = Limpet(CONFIG, workers=1, start=False)
    files = {"index.html": b"index", "text.txt": TEXT, "empty.txt": b"", "sub/page.html": b"page",
             "sub/index.html": b"sub index", "fallback.html": b"fallback", "noindex/x.bin": b"\0\1",
             "packed.txt": b"text", "packed.txt.gz": gzip.compress(b"text"), "other.txt": b"text"}
    for name, content in files.items():
        path = daemon.path("www/" + name)
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        with open(path, "wb") as out:
            out.write(content)
    with daemon:
        daemon.start()
        yield daemon


@pytest.mark.parametrize("path, status, body", [
    ("/", 200, b"index"),
    ("/index.html", 200, b"index"),
    ("/sub/", 200, b"sub index"),
    ("/aliased/page.html", 200, b"page"),
    ("/aliased/", 200, b"sub index"),
    ("/empty.txt", 200, b""),
    ("/try/none", 200, b"fallback"),
    ("/named", 200, b"named /named"),
    ("/code", 410, None),
    ("/none", 404, None),
    ("/index.html/", 404, None),
    ("/noindex/", 403, None),
])
def test_finds_the_file_or_says_why_not(limpet, path, status, body):
    response = get(limpet.port, path)
    assert response.status == status
    if body is not None:
        assert response.body == body


def test_a_directory_without_its_slash_is_redirected(limpet):
    response = get(limpet.port, "/sub?a=1")
    assert (response.status, response.header("location")) == (301, "/sub/?a=1")


def test_only_reading_methods_are_allowed(limpet):
    assert get(limpet.port, "/text.txt", method="POST", body=b"x").status == 405
    assert get(limpet.port, "/text.txt", method="DELETE").status == 405
    head = get(limpet.port, "/text.txt", method="HEAD")
    assert (head.status, head.header("content-length"), head.body) == (200, str(len(TEXT)), b"")


def test_missing_files_are_logged(limpet):
    get(limpet.port, "/not-here")
    path = limpet.path("www/not-here")
    limpet.wait_log(re.escape(f'open() "{path}" failed (2: No such file or directory)'))


def test_conditions(limpet):
    first = get(limpet.port, "/text.txt")
    etag, modified = first.header("etag"), first.header("last-modified")
    assert (first.status, first.body, first.header("content-type")) == (200, TEXT, "text/plain")
    for name, value, status in [("If-None-Match", etag, 304), ("If-None-Match", '"x"', 200),
                                ("If-Modified-Since", modified, 304), ("If-Match", '"x"', 412),
                                ("If-Unmodified-Since", modified, 200)]:
        response = get(limpet.port, "/text.txt", headers=[(name, value)])
        assert response.status == status, (name, value)
        if status == 304:
            assert response.header("content-length") is None
            assert response.header("etag") == etag


def ask(limpet, ranges, path="/text.txt", **more):
    return get(limpet.port, path, headers=[("Range", ranges), *more.items()])


def test_one_range(limpet):
    response = ask(limpet, "bytes=10-19")
    assert (response.status, response.body) == (206, TEXT[10:20])
    assert response.header("content-range") == f"bytes 10-19/{len(TEXT)}"
    assert ask(limpet, "bytes=-5").body == TEXT[-5:]
    assert get(limpet.port, "/text.txt").header("accept-ranges") == "bytes"


def test_several_ranges(limpet):
    response = ask(limpet, "bytes=0-3,10-13")
    kind, _, boundary = response.header("content-type").partition("; boundary=")
    assert (response.status, kind) == (206, "multipart/byteranges")
    parts = response.body.split(b"--" + boundary.encode())
    assert [part.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n") for part in parts[1:-1]] == [TEXT[0:4], TEXT[10:14]]
    assert parts[-1] == b"--\r\n"
    assert ask(limpet, "bytes=0-3,10-13", "/few/text.txt").status == 200


def test_ranges_that_do_not_apply(limpet):
    response = ask(limpet, f"bytes={len(TEXT)}-")
    assert (response.status, response.header("content-range")) == (416, f"bytes */{len(TEXT)}")
    assert ask(limpet, "bytes=0-1", **{"If-Range": '"other"'}).status == 200


def test_a_range_that_is_none_keeps_the_heads_fields(limpet):
    response = ask(limpet, "bytes=999999-", "/fields/text.txt")
    assert (response.status, response.header("content-range")) == (416, f"bytes */{len(TEXT)}")
    assert (response.all("x-some"), response.all("x-always")) == (["some"], ["always"])
    assert response.header("cache-control") == "max-age=60" and response.header("expires")
    assert response.header("content-type") == "text/html"
    for name in "accept-ranges", "etag", "last-modified":
        assert response.header(name) is None, name
    page = ask(limpet, "bytes=999999-", "/fields/paged/text.txt")
    assert (page.status, page.text, page.all("x-always")) == (416, "page", ["always"])
    assert page.header("x-some") is None


def test_a_date_is_read_whatever_its_zone_is_called(limpet):
    at = get(limpet.port, "/text.txt").header("last-modified").removesuffix(" GMT")
    for behind in " GMT", "", " +0000", " UTC", " GMT; length=5":
        assert get(limpet.port, "/text.txt", headers=[("If-Modified-Since", at + behind)]).status == 304
        assert ask(limpet, "bytes=0-1", **{"If-Range": at + behind}).status == 206


def test_compressed_text_has_a_charset_too(limpet):
    response = get(limpet.port, "/named/packed.txt", headers=[("Accept-Encoding", "gzip")])
    assert response.header("content-encoding") == "gzip"
    assert response.header("content-type") == "text/plain; charset=utf-8"
    assert get(limpet.port, "/named/other.txt").header("content-type") == "text/plain; charset=utf-8"


def test_last_modified_of_add_header_goes_with_any_status(limpet):
    for status in 200, 301, 404:
        response = get(limpet.port, f"/dated/{status}")
        assert (response.status, response.header("last-modified")) == (status, "then")


def test_gzip_for_those_who_take_it(limpet):
    zipped = get(limpet.port, "/zip/text.txt", headers=[("Accept-Encoding", "gzip")])
    assert zipped.header("content-encoding") == "gzip"
    assert zipped.header("etag").startswith('W/"')
    assert zipped.header("vary") == "Accept-Encoding"
    assert len(zipped.body) < len(TEXT) / 2
    assert gzip.decompress(zipped.body) == TEXT
    plain = get(limpet.port, "/zip/text.txt")
    assert (plain.body, plain.header("content-encoding"), plain.header("vary")) == (TEXT, None, "Accept-Encoding")
