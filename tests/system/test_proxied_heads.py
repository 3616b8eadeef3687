"""What an upstream sees of a request's head, and a client of the response's."""
from client import get
from daemon import Limpet
from origin import Origin, Reply

CONFIG = """
events { }
http {
    absolute_redirect off;
    server {
        listen {port};
        location /plain/ { proxy_pass http://127.0.0.1:{origin}; }
        location /uri/ { proxy_pass http://127.0.0.1:{origin}/other/; }
        location /var/ { set $to 127.0.0.1:{origin}; proxy_pass http://$to/fixed?x=1; }
        location /break/ { rewrite ^/break/(.*)$ /new/$1 break; proxy_pass http://127.0.0.1:{origin}/gone/; }
        location /set/ {
            proxy_pass http://127.0.0.1:{origin};
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Gone "";
            proxy_hide_header X-Secret;
            proxy_pass_header Server;
            proxy_cookie_domain inner.example outer.example;
            proxy_cookie_flags ~. secure;
        }
        location /sliced/ {
            proxy_pass http://127.0.0.1:{origin};
            slice 1m;
            proxy_cache_key $uri$slice_range;
            proxy_set_header Range $slice_range;
        }
        location /body/ { proxy_pass http://127.0.0.1:{origin}; proxy_method POST; proxy_set_body "id=$arg_id"; }
        location /added/ {
            proxy_pass http://127.0.0.1:{origin};
            add_header X-Always a always;
            add_header X-Fine $upstream_status;
            expires 1h;
        }
    }
}
"""


def run(respond=None, **options):
    origin = Origin("origin", respond)
    return origin, Limpet(CONFIG, workers=1, origin=origin.port, **options)


def test_request_uris():
    origin, limpet = run()
    with origin, limpet:
        for sent, seen in [("/plain/a%20b?q=%41", "/plain/a%20b?q=%41"), ("/uri/a%20b?q=1", "/other/a%20b?q=1"),
                           ("/var/anything?q=1", "/fixed?x=1"), ("/break/x?q=1", "/new/x?q=1")]:
            assert get(limpet.port, sent).status == 200
            assert origin.requests[-1].target == seen


def test_request_headers():
    origin, limpet = run()
    with origin, limpet:
        hop = [("Keep-Alive", "5"), ("TE", "trailers"), ("Proxy-Connection", "x"), ("Upgrade", "none"), ("X-End", "1")]
        get(limpet.port, "/plain/", headers=hop)
        seen = origin.requests[-1]
        assert seen.header("host") == f"127.0.0.1:{origin.port}"
        assert seen.header("x-end") == "1"
        assert [h for h in ("keep-alive", "te", "proxy-connection", "upgrade", "connection") if seen.header(h)] == []
        get(limpet.port, "/set/", headers=[("X-Gone", "1"), ("X-Forwarded-For", "9.9.9.9")], host="h.example")
        seen = origin.requests[-1]
        assert seen.header("host") == "h.example"
        assert seen.header("x-gone") is None
        assert seen.header("x-forwarded-for") == "9.9.9.9, 127.0.0.1"


def test_ranges_are_the_clients_where_nginx_would_cut_slices():
    origin, limpet = run()
    with origin, limpet:
        get(limpet.port, "/sliced/x", headers=[("Range", "bytes=5-9")])
        assert origin.requests[-1].header("range") == "bytes=5-9"
        get(limpet.port, "/sliced/x")
        assert origin.requests[-1].header("range") is None


def test_method_and_body_of_our_own():
    origin, limpet = run()
    with origin, limpet:
        get(limpet.port, "/body/?id=7")
        assert (origin.requests[-1].method, origin.requests[-1].body) == ("POST", b"id=7")


def test_a_204_keeps_what_it_says_of_the_resource():
    said = [("Content-Type", "a/b"), ("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT"), ("ETag", '"v2"')]
    origin, limpet = run(lambda request: Reply(raw=(b"HTTP/1.1 204 No Content\r\n" + b"".join(
        f"{name}: {value}\r\n".encode() for name, value in said) + b"\r\n")))
    with origin, limpet:
        response = get(limpet.port, "/plain/", method="PUT", body=b"x")
        assert response.status == 204 and response.header("content-length") is None
        assert [(name, response.header(name)) for name, _ in said] == said


def test_response_headers():
    def respond(request):
        return Reply(b"x", headers=[
            ("Server", "inner"), ("Date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("X-Accel-Expires", "1"), ("X-Pad", "1"),
            ("X-Secret", "1"), ("X-Kept", "1"), ("Keep-Alive", "timeout=5"), ("ETag", '"e"'), ("ETag", '"f"'),
            ("Set-Cookie", "a=1; Domain=inner.example"), ("Set-Cookie", "b=2"),
            ("Location", f"http://127.0.0.1:{origin.port}/moved"), ("WWW-Authenticate", "A"), ("WWW-Authenticate", "B")])
    origin, limpet = run(respond)
    with origin, limpet:
        response = get(limpet.port, "/set/")
        assert response.all("server") == ["inner"]
        assert response.all("etag") == ['"e"']
        assert response.all("www-authenticate") == ["A", "B"]
        assert response.all("set-cookie") == ["a=1; Domain=outer.example; Secure", "b=2; Secure"]
        assert response.header("location") == "/moved"
        assert response.header("x-kept") == "1"
        hidden = ("x-accel-expires", "x-pad", "x-secret", "keep-alive")
        assert [name for name in hidden if response.header(name)] == []
        assert response.header("date") != "Sun, 06 Nov 1994 08:49:37 GMT"
        assert get(limpet.port, "/plain/").header("server") != "inner"


def test_added_headers():
    status = ["200 OK"]
    origin, limpet = run(lambda request: Reply(b"x", status=status[0]))
    with origin, limpet:
        fine = get(limpet.port, "/added/")
        assert (fine.header("x-always"), fine.header("x-fine")) == ("a", "200")
        assert fine.header("cache-control") == "max-age=3600"
        status[0] = "500 Oh"
        wrong = get(limpet.port, "/added/")
        assert (wrong.status, wrong.header("x-always"), wrong.header("x-fine")) == (500, "a", None)
        assert wrong.header("expires") is None
