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
      {"daemon off }", "unexpected \"}\" in t.conf:1"},
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
       "\"listen\" directive is not allowed here: it belongs into server in t.conf:1"},
      {"server 127.0.0.1;",
       "\"server\" directive is not allowed here: it belongs into http, upstream in t.conf:1"},
      {"daemon off\n\nevents {}",
       "directive \"daemon\" is not terminated by \";\": a \";\" is missing in t.conf:1"},
      {"http {\nroot /a\nindex b;\n}",
       "invalid number of arguments in \"root\" directive: a \";\" is missing in t.conf:2"},
      {"http {\ngzip on\ngzip_vary on;\n}",
       "invalid number of arguments in \"gzip\" directive: a \";\" is missing in t.conf:2"},
      {"http { root\na\nb; }", "invalid number of arguments in \"root\" directive in t.conf:3"},
      {"daemon;", "invalid number of arguments in \"daemon\" directive in t.conf:1"},
      {"daemon maybe;",
       "invalid value \"maybe\" in \"daemon\" directive, it must be \"on\" or \"off\" in t.conf:1"},
      {"daemon off; daemon off;", "\"daemon\" directive is duplicate in t.conf:1"},
      {"http;", "directive \"http\" has no opening \"{\" in t.conf:1"},
      {"daemon off {}", "directive \"daemon\" is not terminated by \";\" in t.conf:1"},
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
       "\"valid_referers\" directive is not allowed here: it belongs into server, location in "
       "t.conf:1"},
      {"server { location /a/ { location /b { } } }",
       "location \"/b\" is outside location \"/a/\" in t.conf:1"},
      {"server { location /a { } location /a { } }", "duplicate location \"/a\" in t.conf:1"},
      {"server { location / { proxy_pass ftp://x; } }", "invalid URL prefix in t.conf:1"},
      {"server { location / { return 200 $nope; } }", "unknown \"nope\" variable in t.conf:1"},
      {"server { listen 80 default; } server { listen 80 default_server; }",
       "a duplicate default server for 0.0.0.0:80 in t.conf:1"},
      {"server { listen 80; listen 80; }", "a duplicate listen 0.0.0.0:80 in t.conf:1"},
      {"server { location ~ a { proxy_pass http://127.0.0.1/x; } }",
       "\"proxy_pass\" cannot have URI part in location given by regular expression, or inside "
       "named location, or "
       "inside \"if\" statement, or inside \"limit_except\" block in t.conf:1"},
      {"upstream a { server 127.0.0.1; sticky learn create=$cookie_a lookup=$cookie_a zone=z:1k; }",
       "\"sticky\" directive zone is too small in t.conf:1"},
      {"upstream a { server 127.0.0.1 backup; }", "no servers in upstream \"a\" in t.conf:1"},
      {"add_header \"Set-Cookie \" a;", "invalid header name in t.conf:1"},
      {"proxy_set_header \"Transfer-Encoding\t\" chunked;", "invalid header name in t.conf:1"},
      {"limit_req_status 200;", "value must be between 400 and 599 in t.conf:1"},
      {"limit_req_zone $uri zone=a rate=1r/s;", "invalid zone size \"zone=a\" in t.conf:1"},
      {"limit_req_zone $uri zone=a:1k rate=1;", "zone \"zone=a:1k\" is too small in t.conf:1"},
      {"resolver 127.0.0.1 valid=x;", "invalid parameter: valid=x in t.conf:1"},
      {"resolver 127.0.0.1:99999;", "invalid port in resolver \"127.0.0.1:99999\" in t.conf:1"},
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

}  // namespace
}  // namespace limpet::conf
