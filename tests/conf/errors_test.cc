// Messages are nginx's, with file and line at the end.
#include "tests/conf/support.h"

namespace limpet::conf {
namespace {

struct Case {
  const char* text;
  const char* message;
};

TEST(Errors, Syntax) {
  const Case cases[] = {
      {"}", "unexpected \"}\" in t.conf:1"},
      {";", "unexpected \";\" in t.conf:1"},
      {"events {", "unexpected end of file, expecting \"}\" in t.conf:1"},
      {"daemon", "unexpected end of file, expecting \";\" or \"}\" in t.conf:1"},
      {"daemon \"off\"x;", "unexpected \"x\" in t.conf:1"},
      {"daemon off }", "unexpected \"}\": a \";\" is missing in t.conf:1"},
      {"\n\n}", "unexpected \"}\" in t.conf:3"},
      {"daemon\noff\n\n}", "unexpected \"}\": a \";\" is missing in t.conf:2"},
      {"daemon off\n\n",
       "unexpected end of file, expecting \";\" or \"}\": a \";\" is missing in t.conf:1"},
      {"daemon\n\"off;\n\n",
       "unexpected end of file, expecting \";\" or \"}\": the double quote that begins here is not "
       "closed in t.conf:2"},
      {"include /nowhere/at/all;",
       "open() \"/nowhere/at/all\" failed (2: No such file or directory) in t.conf:1"},
  };
  for (const Case& c : cases) EXPECT_EQ(LoadError(c.text), c.message) << c.text;
}

TEST(Errors, Rows) {
  const Case cases[] = {
      {"deamon off;", "unknown directive \"deamon\" (did you mean \"daemon\"?) in t.conf:1"},
      {"qwertyuiop off;", "unknown directive \"qwertyuiop\" in t.conf:1"},
      {"listen 80;",
       "\"listen\" directive is not allowed here, in main: it belongs in server in t.conf:1"},
      {"server 127.0.0.1;",
       "\"server\" directive is not allowed here, in main: it belongs in http, upstream, "
       "session_store in t.conf:1"},
      {"daemon off\n\nevents {}",
       "directive \"daemon\" is not terminated by \";\": a \";\" is missing in t.conf:1"},
      {"http {\nroot /a\nindex b;\n}",
       "invalid number of arguments in \"root\" directive: a \";\" is missing in t.conf:2"},
      {"http {\ngzip on\ngzip_vary on;\n}",
       "invalid number of arguments in \"gzip\" directive: a \";\" is missing in t.conf:2"},
      {"http { root\na\nb; }",
       "invalid number of arguments in \"root\" directive: root takes 1 argument in t.conf:3"},
      {"daemon;",
       "invalid number of arguments in \"daemon\" directive: daemon takes 1 argument in t.conf:1"},
      {"daemon maybe;",
       "invalid value \"maybe\" in \"daemon\" directive, it must be \"on\" or \"off\" in t.conf:1"},
      {"http { allow 1.2.3; }",
       "invalid parameter \"1.2.3\": allow takes ADDRESS | NETWORK | all | unix: in t.conf:1"},
      {"daemon off; daemon off;", "\"daemon\" directive is duplicate in t.conf:1"},
      {"http;", "directive \"http\" has no opening \"{\" in t.conf:1"},
      {"daemon off {}", "directive \"daemon\" is not terminated by \";\" in t.conf:1"},
  };
  for (const Case& c : cases) EXPECT_EQ(LoadError(c.text), c.message) << c.text;
}

TEST(Errors, PatternsWithoutTheirQuotes) {
  const Case cases[] = {
      {"http { map $uri $a { ~id=([^;]+) $1; } }",
       "invalid number of the map parameters: the \";\" ends \"~id=([^\", a pattern with \";\", "
       "\"{\" or a blank needs quotes in t.conf:1"},
      {"http { map $uri $a { ~id=\\[ ; } }", "invalid number of the map parameters in t.conf:1"},
      {"http { map $uri $a {\n~^[a-f]{3} 1;\n} }",
       "unexpected end of file, expecting \"}\": the \"{\" ends \"~^[a-f]\", a pattern with \";\", "
       "\"{\" or a blank needs quotes (line 2) in t.conf:3"},
      {"http { server { location ~ ^/[^;]+/ { } } }",
       "directive \"location\" has no opening \"{\": the \";\" ends \"^/[^\", a pattern with "
       "\";\", "
       "\"{\" or a blank needs quotes in t.conf:1"},
      {"http {", "unexpected end of file, expecting \"}\" in t.conf:1"},
  };
  for (const Case& c : cases) EXPECT_EQ(LoadError(c.text), c.message) << c.text;
}

TEST(Errors, Http) {
  const Case cases[] = {
      {"upstream a { }", "no servers are inside upstream \"a\" in t.conf:1"},
      {"upstream a { server 127.0.0.1; } upstream a { server 127.0.0.1; }",
       "duplicate upstream \"a\" in t.conf:1"},
      {"upstream a { server no.such.host.invalid; }",
       "host not found in upstream \"no.such.host.invalid\" in t.conf:1"},
      {"upstream a { server 127.0.0.1 weight=0; }",
       "invalid parameter \"weight=0\": the number is 1 to 2147483647 in t.conf:1"},
      {"upstream a { server 127.0.0.1; hash $uri steady; }",
       "invalid parameter \"steady\": hash takes KEY [consistent] in t.conf:1"},
      {"gzip_static maybe;",
       "invalid value \"maybe\" in \"gzip_static\" directive, it must be one of off, on, always in "
       "t.conf:1"},
      {"send_timeout 1q;",
       "\"send_timeout\" directive invalid value \"1q\": a time is 500ms, 30s, 1h30m or 30 for "
       "seconds in t.conf:1"},
      {"keepalive_requests many;",
       "\"keepalive_requests\" directive invalid number \"many\": it is 0 to 2147483647 in "
       "t.conf:1"},
      {"valid_referers none;",
       "\"valid_referers\" directive is not allowed here, in http: it belongs in server, location "
       "in "
       "t.conf:1"},
      {"server { location /a/ { location /b { } } }",
       "location \"/b\" is outside location \"/a/\" in t.conf:1"},
      {"server { location /a { } location /a { } }", "duplicate location \"/a\" in t.conf:1"},
      {"server { location / { proxy_pass 127.0.0.1:80; } }",
       "invalid URL prefix in \"127.0.0.1:80\": it begins with http:// or https:// in t.conf:1"},
      {"server { location / { return 200 $nope; } }", "unknown \"nope\" variable in t.conf:1"},
      {"server { location / { return 200 $remote_adr; } }",
       "unknown \"remote_adr\" variable (did you mean \"remote_addr\"?) in t.conf:1"},
      {"map $uri $kind { } server { location / { return 200 $kinds; } }",
       "unknown \"kinds\" variable (did you mean \"kind\"?) in t.conf:1"},
      {"server { location / { if ($uri) { proxy_set_header A b; } } }",
       "\"proxy_set_header\" directive is not allowed here, in if in location: it belongs in http, "
       "server, location in t.conf:1"},
      {"\xEF\xBB\xBFserver { }",
       "unknown directive \"\\xEF\\xBB\\xBFserver\": it has a character that is not ASCII in "
       "t.conf:1"},
      {"upstream no.app.invalid { server 127.0.0.1; }\n"
       "server { location / { proxy_pass http://no.ap.invalid; } }",
       "host not found in upstream \"no.ap.invalid\" (did you mean \"no.app.invalid\"?) in "
       "t.conf:2"},
      {"server { listen 80 sl; }", "invalid parameter \"sl\" (did you mean \"ssl\"?) in t.conf:1"},
      {"server { listen 80 default; } server { listen 80 default_server; }",
       "a duplicate default server for 0.0.0.0:80 in t.conf:1"},
      {"server { listen 80; listen 80; }", "a duplicate listen 0.0.0.0:80 in t.conf:1"},
      {"server { location ~ a { proxy_pass http://127.0.0.1/x; } }",
       "\"proxy_pass\" cannot have URI part in location given by regular expression, or inside "
       "named location, or "
       "inside \"if\" statement, or inside \"limit_except\" block in t.conf:1"},
      {"upstream a { server 127.0.0.1; sticky learn create=$cookie_a lookup=$cookie_a zone=z:1k; }",
       "\"sticky\" directive zone is too small: \"z:1k\", it is at least 32k in t.conf:1"},
      {"upstream a { server 127.0.0.1 backup; }", "no servers in upstream \"a\" in t.conf:1"},
      {"add_header \"Set-Cookie \" a;", "invalid header name in t.conf:1"},
      {"proxy_set_header \"Transfer-Encoding\t\" chunked;", "invalid header name in t.conf:1"},
      {"limit_req_status 200;", "value \"200\" must be between 400 and 599 in t.conf:1"},
      {"limit_req_zone $uri zone=a rate=1r/s;",
       "invalid zone size \"zone=a\": it is zone=NAME:SIZE, a size is 10m or 64k in t.conf:1"},
      {"limit_req_zone $uri zone=a:1k rate=1;",
       "zone \"zone=a:1k\" is too small: it is at least 32k in t.conf:1"},
      {"resolver 127.0.0.1 valid=x;",
       "invalid parameter: valid=x: a time in whole seconds is 30s or 1h30m in t.conf:1"},
      {"resolver 127.0.0.1:99999;",
       "invalid port in resolver \"127.0.0.1:99999\": resolver takes ADDRESS … | conf[=FILE] "
       "[valid=] "
       "[ipv4=on|off] [ipv6=on|off] [status_zone=NAME] in t.conf:1"},
      {"upstream a { server 127.0.0.1; sticky learn create=$arg_a lookup=$arg_a zone=z:1m; } "
       "upstream b { server 127.0.0.2; sticky learn create=$arg_a lookup=$arg_a zone=z:1m; }",
       "sticky zone \"z\" is shared by upstreams \"a\" and \"b\" with different servers: "
       "\"127.0.0.1:80\" is only in \"a\" in t.conf:1"},
      {"upstream a { server 127.0.0.1; sticky learn create=$arg_a lookup=$arg_a zone=z:1m; } "
       "upstream b { server 127.0.0.1; sticky learn create=$arg_a lookup=$arg_a zone=z:2m; }",
       "sticky zone \"z\" has another size than in upstream \"a\" in t.conf:1"},
      {"client_max_body_size 1x;",
       "\"client_max_body_size\" directive invalid value \"1x\": a size is 100, 10k, 1m or 1g in "
       "t.conf:1"},
      {"server { valid_referers none; }",
       "the \"none\" or \"blocked\" referers are specified in the \"valid_referers\" directive "
       "without any valid referer in t.conf:1"},
  };
  for (const Case& c : cases) EXPECT_EQ(LoadError(InHttp(c.text)), c.message) << c.text;
}

// Whoever reads such a message needs no manual: it has the value and what would have been right.
TEST(Errors, NameTheValueAndWhatIsAllowed) {
  struct Wrong {
    std::string text, value, allowed;
  };
  const auto upstream = [](const std::string& line) {
    return "upstream a { server 127.0.0.1; " + line + " }";
  };
  const std::string learn = "sticky learn create=$arg_a lookup=$arg_a zone=z:1m ";
  const Wrong cases[] = {
      {upstream("queue 0;"), "0", "1 to 2147483647"},
      {upstream("queue many;"), "many", "1 to 2147483647"},
      {upstream("keepalive -1;"), "-1", "0 to 2147483647"},
      {upstream("zone a 1k;"), "a", "at least 32k"},
      {upstream("zone a big;"), "big", "a size is"},
      {upstream("sticky_policy on_down=fail=1;"), "on_down=fail=1", "400 to 599"},
      {upstream("sticky_policy failback=later;"), "failback=later", "never"},
      {upstream("sticky cookie a expires=soon;"), "soon", "a time in whole seconds"},
      {upstream("sticky cookie a samesite=maybe;"), "maybe", "strict, lax, none"},
      {upstream(learn + "timeout=0;"), "0", "above 0"},
      {upstream(learn + "cookie_max_size=0;"), "0", "1 to 65536"},
      {upstream(learn + "fill_limit_crit_log=x;"), "x", "75%"},
      {upstream("server 127.0.0.2 route=0123456789012345678901234567890123;"),
       "0123456789012345678901234567890123", "longer than 32"},
      {"error_page 200 /x;", "200", "between 300 and 599"},
      {"error_page 499 /x;", "499", "not 499"},
      {"error_page oops /x;", "oops", "300 to 599"},
      {"error_page =200 /x;", "=200", "codes stand before it"},
      {"error_page 404 =1000 /x;", "=1000", "=0 to =999"},
      {"expires later;", "later", "epoch, max or off"},
      {"expires @25h;", "@25h", "less than 24 hours"},
      {"expires early 1h;", "early", "modified"},
      {"gzip_comp_level 10;", "10", "between 1 and 9"},
      {"limit_req_zone $uri zone=a:1m rate=0;", "rate=0", "above 0"},
      {"limit_req_zone $uri zone=a:1m rate=1r/s; limit_req zone=a burst=0;", "burst=0",
       "1 to 2147483647"},
      {"limit_conn_zone $uri zone=a:1m; limit_conn a 0;", "0", "1 to 65535"},
      {"limit_conn_zone $uri zone=a:1m; limit_conn a 70000;", "70000", "less 65536"},
      {"server { listen 127.0.0.1:80 backlog=0; }", "backlog=0", "1 to 2147483647"},
      {"server { listen 127.0.0.1:80 rcvbuf=x; }", "rcvbuf=x", "a size is"},
      {"server { listen 127.0.0.1:80 ipv6only=x; }", "x", "on or off"},
      {"server { listen 127.0.0.1:80 so_keepalive=x; }", "x", "so_keepalive="},
      {"server { return 1000; }", "1000", "0 to 999"},
      {"server { location / { try_files /a =1000; } }", "=1000", "=0 to =999"},
      {"access_log logs/a combined buffer=0;", "0", "above 0"},
      {"access_log logs/a combined gzip=0;", "0", "1 to 9"},
      {"error_log logs/e loud;", "loud", "notice"},
      {"access_log syslog:server=127.0.0.1,facility=x;", "x", "local7"},
      {"access_log syslog:server=127.0.0.1,severity=x;", "x", "emerg"},
      {"open_log_file_cache max=0;", "max=0", "N above 0"},
      {"log_format a escape=x $uri;", "x", "default, json or none"},
      {"split_clients $uri $s { 0% a; }", "0%", "0.01% to 100%"},
      {"resolver 127.0.0.1 ipv6=x;", "ipv6=x", "on or off"},
      {"server_tokens maybe;", "maybe", "on, off, build"},
      {"server { ssl_session_cache shared:a:1k; }", "shared:a:1k", "at least 32k"},
      {"server { ssl_session_cache x; }", "x", "shared:NAME:SIZE"},
      {"server { location /a { api write=x; } }", "write=x", "write=on|off"},
      {"proxy_next_upstream oops;", "oops", "http_"},
  };
  for (const Wrong& c : cases) {
    const std::string message = LoadError(InHttp(c.text));
    EXPECT_THAT(message, testing::AllOf(testing::HasSubstr(c.value), testing::HasSubstr(c.allowed)))
        << c.text;
  }
}

}  // namespace
}  // namespace limpet::conf
