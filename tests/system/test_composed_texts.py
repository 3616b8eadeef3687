"""What clients say is composed into request lines, heads and log lines: nothing of it may end its place there.

Every directive whose value may hold a variable is given a URI that decodes to line ends, a second request, an escape
sequence. A directive of conf/DIRECTIVES.md that is neither tried here nor said to be constant fails the test.
"""
import base64
import re
from pathlib import Path

import pytest

from client import Connection, get
from daemon import Limpet, fill_in
from origin import Origin, Reply
from ports import free_port
from waiting import wait_until

PAYLOAD = ("x%20HTTP/1.1%0d%0aEvil:%20one%0d%0a%0d%0aGET%20/second%20HTTP/1.1%0d%0aHost:%20x%0d%0a%0d%0a"
           "%1b%5b31m%7f%0aEvil:%20two%0dEvil:%20three%09%c3%a9/")
DIRECTIVES = Path(__file__).parents[2] / "conf/DIRECTIVES.md"

# What stands in a location of its own. P: to the origin.
P = "proxy_pass http://127.0.0.1:{origin};"
LOCATION = {
    "access_log": ["root {dir}; access_log {dir}/log-$uri; return 204;", "access_log {dir}/other plain if=$uri; return 204;",
                   "access_log syslog:server=127.0.0.1:{nobody} plain; return 204;"],
    "add_header": [f'add_header {name} $uri always; return 200 "x";'
                   for name in ("X-Test", "ETag", "Last-Modified", "Location", "Refresh", "Set-Cookie", "X-Frame-Options",
                                "Content-Security-Policy", "Content-Length", "Transfer-Encoding", "Connection")],
    "add_trailer": [P + " add_trailer X-Test $uri; add_trailer X-Good good;"],
    "alias": ["alias {dir}/$uri;"],
    "auth_basic": ["auth_basic $uri; auth_basic_user_file {dir}/users; return 204;"],
    "auth_basic_user_file": ["auth_basic on; auth_basic_user_file {dir}/$uri;"],
    "auth_request_set": ["set $mine $uri; auth_request /auth; auth_request_set $got $mine$uri; add_header X-Got $got; " + P],
    "charset": ['default_type text/html; charset $uri; return 200 "x";'],
    "early_hints": ["early_hints $uri; " + P],
    "error_page": ["error_page 404 =302 http://x$uri; return 404;", "error_page 404 =301 https://x/?$uri; return 404;",
                   "error_page 404 /app?q=$uri; return 404;", "error_page 404 /app$uri; return 404;"],
    "expires": ['expires $uri; return 200 "x";'],
    "if": ['if ($uri = "$uri") { add_header X-Test $uri; return 200 "x"; }', "if (-f $uri) { return 200; } return 204;"],
    "index": ["root {dir}; index none$uri /app?q=$uri;"],
    "limit_rate": ['limit_rate $uri; return 200 "x";'],
    "limit_rate_after": ['limit_rate_after $uri; return 200 "x";'],
    "limit_conn_zone": ["limit_conn conns 1; return 204;"],
    "limit_req_zone": ["limit_req zone=reqs; " + P],
    "log_format": ["access_log {dir}/access.log plain; access_log {dir}/json.log json; return 204;"],
    "map": ["add_header X-Test $mapped; " + P],
    "mirror": ["mirror /mirrored$uri; " + P],
    "proxy_bind": ["proxy_bind $uri; " + P],
    "proxy_cookie_domain": ["proxy_cookie_domain inner $uri; " + P, "proxy_cookie_domain ~(n+) $uri; " + P],
    "proxy_cookie_flags": ["proxy_cookie_flags ~. $uri; " + P],
    "proxy_cookie_path": ["proxy_cookie_path /in $uri; " + P],
    "proxy_limit_rate": ["proxy_limit_rate $uri; " + P],
    "proxy_method": ["proxy_method $uri; " + P, 'proxy_method "GET$uri"; ' + P],
    "proxy_pass": ["set $to 127.0.0.1:{origin}; proxy_pass http://$to/p?q=$uri;", "proxy_pass http://127.0.0.1:{origin}/p$uri;",
                   "proxy_pass http://$uri;", "proxy_pass http://127.0.0.1$uri;"],
    "proxy_redirect": ["proxy_redirect http://inner/ $uri; " + P, "proxy_redirect ~^http://(.*)$ http://$1$uri; " + P],
    "proxy_set_body": ["proxy_set_body $uri; " + P],
    "proxy_set_header": [f"proxy_set_header {name} $uri; " + P
                         for name in ("X-Test", "Host", "Content-Type", "Connection", "Upgrade", "Content-Length",
                                      "Transfer-Encoding", "Authorization")],
    "proxy_ssl_name": ["proxy_ssl_server_name on; proxy_ssl_name $uri; proxy_pass https://127.0.0.1:{nobody};"],
    "proxy_ssl_certificate": ["proxy_ssl_certificate $uri; proxy_ssl_certificate_key $uri; "
                              "proxy_pass https://127.0.0.1:{nobody};"],
    "return": ["return 302 $uri;", "return 301 http://$host$uri;", "return 307 /?q=$uri;", "return 200 $uri;",
               "return 403 $uri;"],
    "rewrite": ["rewrite ^(.*)$ $1 redirect;", "rewrite ^ http://x$uri permanent;", "rewrite ^ /app?q=$uri last;",
                "rewrite ^ /app?q=$uri break; " + P, "rewrite ^/[^/]*/(.*)$ /app/$1 last;",
                "rewrite_log on; rewrite ^ /$uri redirect;"],
    "root": ["root {dir}/$uri;"],
    "server_tokens": ['server_tokens $uri; return 200 "x";'],
    "set": ["set $args q=$uri; " + P, "set $a $uri; add_header X-Test $a; " + P],
    "split_clients": ["add_header X-Test $split; " + P],
    "sub_filter": ["sub_filter_types *; sub_filter hello $uri; " + P],
    "try_files": ["root {dir}; try_files /none$uri /app?q=$uri;", "root {dir}; try_files $uri =404;"],
}
LOCATION["limit_conn"] = LOCATION["limit_conn_zone"]
LOCATION["proxy_ssl_certificate_key"] = LOCATION["proxy_ssl_certificate"]

# What stands in an upstream of its own, to which a location passes.
UPSTREAM = {
    "hash": ["hash $uri;", "hash $uri consistent;"],
    "sticky": ["sticky cookie c domain=$uri;", "sticky cookie c path=$uri;", "sticky cookie c samesite=$uri;",
               "sticky cookie c max-age=$uri;", "sticky route $uri;",
               "sticky learn create=$uri lookup=$uri zone=s:64k header;"],
    "sticky_secret": ["sticky cookie c; sticky_secret $uri;"],
}

ELSEWHERE = {
    "ssl_certificate": "read in a handshake, before any request: no variable of it holds what decodes to a line end",
    "ssl_certificate_key": "the same",
    "geo": "looks an address up: its values are constant",
    "jwt_claim": "the same; its keys are of its file, its variables are tried as any other text: test_tokens.py",
    "geoip2": "the same; what a database holds is its maker's: test_item6_geoip2.py",
}

CONSTANT = set("""
absolute_redirect accept_mutex accept_mutex_delay add_header_inherit add_trailer_inherit aio aio_write allow ancient_browser
ancient_browser_value api auth_delay auth_request auto_redirect autoindex autoindex_exact_size autoindex_format autoindex_localtime break
charset_types chunked_transfer_encoding client_body_buffer_size client_body_early_read client_body_in_file_only
client_body_in_single_buffer client_body_temp_path client_body_timeout client_header_buffer_size client_header_timeout
client_max_body_size compatible connect_timeout connection_pool_size control_socket daemon dashboard database
debug_connection debug_points default_type deny directio directio_alignment disable_symlinks empty_gif env epoll_events
error_log etag events fastcgi_temp_path gunzip gunzip_buffers gzip gzip_buffers gzip_comp_level gzip_disable gzip_hash
gzip_http_version gzip_min_length gzip_no_buffer gzip_proxied gzip_static gzip_types gzip_vary gzip_window health_check http
http2 http2_body_preread_size http2_chunk_size http2_idle_timeout http2_max_concurrent_pushes http2_max_concurrent_streams
http2_max_field_size http2_max_header_size http2_max_requests http2_pool_size http2_push http2_push_preload
http2_recv_buffer_size http2_recv_timeout http2_streams_index_size http2_websocket if_modified_since ignore_invalid_headers
internal ip_hash keepalive keepalive_disable keepalive_min_timeout keepalive_requests keepalive_time keepalive_timeout
key_file large_client_header_buffers least_conn least_sessions least_time limit_conn_dry_run limit_conn_log_level
limit_conn_status limit_except limit_req limit_req_dry_run limit_req_log_level limit_req_status lingering_close
lingering_time lingering_timeout listen load_module location lock_file log_not_found log_subrequest map_hash_bucket_size
map_hash_max_size master_process match max_headers max_ranges max_waiting merge_slashes mirror_request_body modern_browser
modern_browser_value msie_padding msie_refresh multi_accept open_file_cache open_file_cache_errors open_file_cache_events
open_file_cache_min_uses open_file_cache_valid open_log_file_cache output_buffers override_charset password_file pcre_jit
pid port_in_redirect postpone_gzipping postpone_output prefix prometheus proxy_buffer_size proxy_buffering proxy_buffers
proxy_busy_buffers_size proxy_cache proxy_cache_background_update proxy_cache_bypass proxy_cache_convert_head
proxy_cache_key proxy_cache_lock proxy_cache_lock_age proxy_cache_lock_timeout proxy_cache_max_range_offset
proxy_cache_methods proxy_cache_min_uses proxy_cache_path proxy_cache_revalidate proxy_cache_use_stale proxy_cache_valid
proxy_connect_timeout proxy_force_ranges proxy_headers_hash_bucket_size proxy_headers_hash_max_size proxy_hide_header
proxy_http_version proxy_ignore_client_abort proxy_ignore_headers proxy_intercept_errors proxy_max_temp_file_size
proxy_next_upstream proxy_next_upstream_timeout proxy_next_upstream_tries proxy_no_cache proxy_pass_header
proxy_pass_request_body proxy_pass_request_headers proxy_pass_trailers proxy_read_timeout proxy_request_buffering
proxy_send_lowat proxy_send_timeout proxy_socket_keepalive proxy_socket_rcvbuf proxy_socket_sndbuf
proxy_ssl_certificate_cache proxy_ssl_ciphers proxy_ssl_conf_command proxy_ssl_crl proxy_ssl_password_file
proxy_ssl_protocols proxy_ssl_server_name proxy_ssl_session_reuse proxy_ssl_trusted_certificate proxy_ssl_verify
proxy_ssl_verify_depth proxy_store proxy_store_access proxy_temp_file_write_size proxy_temp_path queue random read_ahead rebalance
real_ip_header real_ip_recursive recursive_error_pages referer_hash_bucket_size referer_hash_max_size request_pool_size
reset_timedout_connection resolver resolver_timeout rewrite_log satisfy scgi_temp_path send_lowat send_timeout sendfile
sendfile_max_chunk sentinel sentinel_password_file server server_name server_name_in_redirect server_names_hash_bucket_size
server_names_hash_max_size session_store set_real_ip_from slice source_charset ssl_buffer_size ssl_certificate_cache
ssl_certificate_compression ssl_ciphers ssl_client_certificate ssl_conf_command ssl_crl ssl_dhparam ssl_early_data
ssl_ecdh_curve ssl_ech_file ssl_engine ssl_object_cache_inheritable ssl_ocsp ssl_ocsp_cache ssl_ocsp_responder
ssl_password_file ssl_prefer_server_ciphers ssl_protocols ssl_reject_handshake ssl_session_cache ssl_session_ticket_key
ssl_session_tickets ssl_session_timeout ssl_stapling ssl_stapling_file ssl_stapling_responder ssl_stapling_verify
ssl_trusted_certificate ssl_verify_client ssl_verify_depth state_interval state_path status_zone sticky_first sticky_policy
sticky_strict stub_status sub_filter_last_modified sub_filter_once sub_filter_types subrequest_output_buffer_size
tcp_nodelay tcp_nopush thread_pool timer_resolution tls tls_certificate tls_certificate_key tls_name tls_trusted_certificate
tls_verify types types_hash_bucket_size types_hash_max_size underscores_in_headers uninitialized_variable_warn upstream use
user uwsgi_temp_path valid_referers variables_hash_bucket_size variables_hash_max_size wait worker_aio_requests
worker_connections worker_cpu_affinity worker_priority worker_processes worker_rlimit_core worker_rlimit_nofile
worker_shutdown_timeout worker_watchdog working_directory zone
geoip2_proxy geoip2_proxy_recursive
""".split())

CONFIG = """
events { }
http {
    log_format plain '$uri "$request" $remote_user';
    log_format json escape=json '{"uri":"$uri"}';
    access_log {dir}/access.log plain;
    map $uri $mapped { default $uri; }
    split_clients $uri $split { * many; }
    limit_req_zone $uri zone=reqs:64k rate=1r/m;
    limit_conn_zone $uri zone=conns:64k;
    {upstreams}
    server {
        listen {port};
        location /app { proxy_pass http://127.0.0.1:{origin}; }
        location /mirrored { internal; proxy_pass http://127.0.0.1:{origin}; }
        location /auth { internal; proxy_pass http://127.0.0.1:{origin}; }
        {locations}
    }
}
"""


def respond(request):
    if request.target.startswith("/accel"):
        return Reply(b"", headers=[("X-Accel-Redirect", "/gone%0d%0aEvil:%1b%5b31m/../x")])
    return Reply(chunks=[b"hello"], headers=[
        ("Content-Type", "text/plain"), ("Location", "http://inner/x"), ("Refresh", "3; url=http://inner/y"),
        ("Set-Cookie", "a=1; Domain=inner; Path=/in")])


@pytest.fixture
def origin():
    with Origin("origin", respond) as running:
        yield running


def start(origin, locations, upstreams="", config=CONFIG):
    values = {"origin": origin.port, "nobody": free_port()}
    limpet = Limpet(config, workers=1, start=False, **values,
                    locations=fill_in(locations, values), upstreams=fill_in(upstreams, values))
    for name in ("limpet.conf",):
        text = Path(limpet.path(name)).read_text().replace("{dir}", limpet.dir)
        Path(limpet.path(name)).write_text(text)
    Path(limpet.path("users")).write_text("user:{PLAIN}password\n")
    limpet.start()
    return limpet


def raw(limpet, path, headers=()):
    """The response, byte for byte; the connection is closed behind it."""
    with Connection(limpet.port) as connection:
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close", *(f"{n}: {v}" for n, v in headers)]
        connection.send("\r\n".join(lines) + "\r\n\r\n")
        return connection.stream.read()


def check_response(text, body_may_hold_it):
    head, _, body = text.partition(b"\r\n\r\n")
    status, *fields = head.split(b"\r\n")
    assert re.fullmatch(rb"HTTP/1\.1 \d{3} [ -~]*", status), text
    for field in fields:
        assert re.fullmatch(rb"[A-Za-z-]+:[^\r\n\0]*", field), text
        assert not field.lower().startswith(b"evil"), text
    assert body_may_hold_it or b"Evil:" not in body, text


def check_logs(limpet):
    """Each line is one of ours, and printable."""
    for line in Path(limpet.path("error.log")).read_bytes().splitlines():
        assert re.fullmatch(rb"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[[a-z]+\] \d+#\d+: [ -~]*", line), line
    for line in Path(limpet.path("access.log")).read_bytes().splitlines():
        assert re.fullmatch(rb'[ -~]* "[ -~]*" [ -~]+', line), line


def check_origin(origin, names):
    for request in origin.requests:
        assert request.header("evil") is None, request
        assert not re.search(r"[\x00-\x20\x7f]", request.target), request
        assert request.target.split("/")[1].split("?")[0] in names, request
        assert re.fullmatch("[A-Z]+", request.method) and re.fullmatch(r"HTTP/1\.[01]", request.version), request


def test_every_directive_is_known():
    listed = set(re.findall(r"^\| `([^`]+)`", DIRECTIVES.read_text(), re.M))
    tried = {*LOCATION, *UPSTREAM, *ELSEWHERE}
    assert listed - tried - CONSTANT == set(), "may a variable stand in its value? Then try it here"
    assert (tried | CONSTANT) - listed == set(), "no such directive"
    assert tried & CONSTANT == set()
    for name, texts in [*LOCATION.items(), *UPSTREAM.items()]:
        assert any("$" in text for text in texts) or name.startswith("limit_") or name == "log_format", name


def test_no_value_ends_its_place(origin):
    cases = [(name, text) for name, texts in LOCATION.items() for text in texts]
    locations = [f"location /c{i}/ {{ {text} }}" for i, (_, text) in enumerate(cases)]
    groups = [(name, text) for name, texts in UPSTREAM.items() for text in texts]
    upstreams = [f"upstream u{i} {{ server 127.0.0.1:{origin.port}; {text.replace('zone=s:', f'zone=s{i}:')} }}"
                 for i, (_, text) in enumerate(groups)]
    locations += [f"location /u{i}/ {{ proxy_pass http://u{i}; }}" for i in range(len(groups))]
    paths = [*(f"/c{i}/" for i in range(len(cases))), *(f"/u{i}/" for i in range(len(groups)))]
    basic = [("Authorization", "Basic " + base64.b64encode(b"us\r\nEvil: er\x1b:password").decode())]
    with start(origin, "\n".join(locations), "\n".join(upstreams)) as limpet:
        for path, (name, text) in zip(paths, cases + groups):
            for _ in range(2):  # the second on a kept connection to the origin
                response = raw(limpet, path + PAYLOAD, basic if "auth_basic" in text else ())
                try:
                    check_response(response, "200 $uri" in text or "403 $uri" in text or name in ("sub_filter",))
                except AssertionError as wrong:
                    raise AssertionError(f"{name}: {text}") from wrong
        assert get(limpet.port, "/app/alive").status == 200
        names = {"app", "mirrored", "mirroredx", "auth", "p", *(path.strip("/") for path in paths)}
        check_origin(origin, names)
        check_logs(limpet)


def test_urls_are_encoded(origin):
    with start(origin, """
        location /redirect/ { return 302 $uri; }
        location /page/ { error_page 404 =301 https://x/?a=1&q=$uri; return 404; }
        location /args/ { set $args q=$uri; proxy_pass http://127.0.0.1:{origin}; }
        location /part/ { set $to 127.0.0.1:{origin}; proxy_pass http://$to/p?q=$uri; }
        location /header/ { add_header Location $uri; return 204; }
        location /back/ { proxy_redirect http://inner/ /out$uri; proxy_pass http://127.0.0.1:{origin}; }
    """) as limpet:
        sent, seen = "x%0d%0a%20%7f%c3%a9%25", "x%0D%0A%20%7F\xc3\xa9%"
        assert get(limpet.port, "/redirect/" + sent).header("location") == f"http://localhost:{limpet.port}/redirect/" + seen
        assert get(limpet.port, "/page/" + sent).header("location") == "https://x/?a=1&q=/page/" + seen
        assert get(limpet.port, "/header/" + sent).header("location") == "/header/" + seen
        back = get(limpet.port, "/back/" + sent)
        assert back.header("location").endswith(f"/out/back/{seen}x")
        assert back.header("refresh") == f"3; url=/out/back/{seen}y"
        get(limpet.port, "/args/" + sent)
        assert origin.requests[-1].target == "/args/" + sent.replace("%0d%0a", "%0D%0A").replace(
            "%7f", "%7F").replace("%c3%a9", "%C3%A9") + "?q=/args/" + seen
        get(limpet.port, "/part/" + sent)
        assert origin.requests[-1].target == "/p?q=/part/" + seen


def test_a_field_that_cannot_be_sent(origin):
    with start(origin, """
        location /field/ { add_header X-Test $uri; add_header X-Other other; return 200 "x"; }
        location /policy/ { add_header Content-Security-Policy $uri; error_page 500 /app; return 200 "x"; }
        location /charset/ { default_type text/html; charset $uri; return 200 "x"; }
        location /up/ { proxy_set_header X-User $uri; proxy_pass http://127.0.0.1:{origin}; }
        location /asked/ { set $mine $uri; auth_request /ask; try_files /none =204; }
        location /ask { internal; proxy_set_header X-Uri $mine; proxy_pass http://127.0.0.1:{origin}; }
    """) as limpet:
        left_out = get(limpet.port, "/field/%0a")
        assert (left_out.status, left_out.header("x-test"), left_out.header("x-other")) == (200, None, "other")
        assert len(limpet.log_lines(r'\[error\].*"X-Test" is left out of the head')) == 1
        assert get(limpet.port, "/field/%0d%0a%09x").header("x-test") == "/field/  \tx", "a folded line is one line"
        assert get(limpet.port, "/field/a%09b").header("x-test") == "/field/a\tb"
        for control in ("%01", "%1b", "%7f"):
            assert get(limpet.port, f"/field/{control}").header("x-test") is None
        refused = get(limpet.port, "/policy/%0a")
        assert (refused.status, refused.body.count(b"500 Internal Server Error")) == (500, 2)
        assert len(limpet.log_lines(r'\[error\].*"Content-Security-Policy" is left out of the head')) == 1
        assert get(limpet.port, "/policy/").status == 200
        assert get(limpet.port, "/charset/%0a").header("content-type") == "text/html"
        assert origin.requests == []
        assert get(limpet.port, "/up/%0a").status == 500
        assert get(limpet.port, "/asked/%0a").status == 500
        assert origin.requests == []
        assert len(limpet.log_lines(r'\[error\].*the request is not sent: "X-U')) == 2
        assert get(limpet.port, "/up/").status == 200


def test_a_policy_on_several_lines_is_one_field(origin):
    with start(origin, """
        location / {
            add_header Content-Security-Policy "default-src 'self';
                                                img-src *;\\r\\n style-src 'none' ";
            proxy_set_header X-Long "a
                b";
            proxy_pass http://127.0.0.1:{origin};
        }
    """) as limpet:
        assert get(limpet.port, "/").header("content-security-policy") == "default-src 'self'; img-src *; style-src 'none'"
        assert origin.requests[-1].header("x-long") == "a b"
        for wrong in ('add_header "X\\nEvil: 1" a;', 'proxy_set_header "X\\r" a;'):
            limpet.write(CONFIG.replace("{locations}", "location / { %s }" % wrong).replace("{upstreams}", ""))
            assert "invalid header name" in limpet.run("-t").stderr


def test_health_checks_are_one_request(origin):
    with start(origin, """
        location /watched { proxy_pass http://watched; health_check "uri=/alive x\\r\\nEvil: 1" interval=1s;
                            proxy_set_header X-Test "a\\r\\nEvil: 2"; }
    """, "upstream watched { zone w 256k; server 127.0.0.1:{origin}; }"):
        request = wait_until(lambda: origin.requests and origin.requests[0], "a health check")
        assert request.target == "/alive%20x%0D%0AEvil:%201"
        assert (request.header("x-test"), request.header("evil")) == ("a Evil: 2", None)


def test_the_error_log_shows_what_is_foreign(origin):
    with start(origin, "location / { proxy_pass http://127.0.0.1:{origin}; }") as limpet:
        get(limpet.port, "/accel")
        line, = limpet.wait_log("unsafe URI")
        assert "/gone%0d%0aEvil:%1b%5b31m/../x" in line
        get(limpet.port, "/app", headers=[("Referer", "\x1b[31m\x9b\xff")])
    with start(origin, "location / { auth_basic on; auth_basic_user_file {dir}/users; }") as limpet:
        user = base64.b64encode(b"a\r\nb\x1b[2J\x7f\xc3\xa9:x").decode()
        assert get(limpet.port, "/", headers=[("Authorization", "Basic " + user)]).status == 401
        assert limpet.wait_log(r'user "a\\x0D\\x0Ab\\x1B\[2J\\x7F\\xC3\\xA9" was not found')
        check_logs(limpet)
