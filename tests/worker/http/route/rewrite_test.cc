// What set, if, return, rewrite and break make of a request: one row each.
#include "worker/http/route/rewrite.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/worker/http/exchange/exchange_fixture.h"

namespace limpet::worker {
namespace {

// Each location says what became of the request: its own name, $uri and $args.
constexpr std::string_view kServers = R"(
  server {
    listen 127.0.0.1:80;
    server_name a.example;
    rewrite ^/server/(.*)$ /moved/$1;
    location / { return 200 "root $uri ? $args"; }
    location /moved/ { return 200 "moved $uri ? $args"; }
    location /hidden/ { internal; return 200 "hidden"; }

    location /last/ { rewrite ^/last/(.*)$ /moved/$1 last; return 200 "not reached"; }
    location /break/ { rewrite ^/break/(.*)$ /moved/$1 break; try_files "" =404;
                       return 200 "not reached"; }
    location /on/ { rewrite ^/on/(.*)$ /moved/$1; rewrite ^/moved/(.*)$ /moved/again/$1; }
    location /first/ { rewrite ^/first/(.*)$ /moved/$1 last; rewrite . /moved/never; }
    location /loop/ { rewrite ^/loop/(.*)$ /loop/$1; }
    location /to-hidden { rewrite ^ /hidden/x last; }
    location /empty/ { rewrite ^/empty/(.*)$ $1; }

    location /args/keep { rewrite ^ /moved/a last; }
    location /args/add { rewrite ^ /moved/a?b=1 last; }
    location /args/drop { rewrite ^ /moved/a? last; }
    location /args/replace { rewrite ^ /moved/a?b=1? last; }
    location ~ ^/args/group/ { rewrite ^/args/group/(.*)$ /moved/a?of=$1 last; }

    location /redirect { rewrite ^/redirect(.*)$ /new$1 redirect; }
    location /permanent { rewrite ^/permanent(.*)$ /new$1 permanent; }
    location /absolute { rewrite ^/absolute(.*)$ http://b.example/new$1; }
    location /scheme { rewrite ^ $scheme://b.example/new last; }

    location /set { set $who ann; set $greeting "hello $who"; return 200 $greeting; }
    location /if/equal { if ($arg_a = 1) { return 200 yes; } return 200 no; }
    location /if/unequal { if ($arg_a != 1) { return 200 yes; } return 200 no; }
    location /if/true { if ($arg_a) { return 200 yes; } return 200 no; }
    location /if/match { if ($arg_a ~ ^b(.)) { return 200 "yes $1"; } return 200 no; }
    location /if/any-case { if ($arg_a ~* ^b) { return 200 yes; } return 200 no; }
    location /if/unmatch { if ($arg_a !~ ^b) { return 200 yes; } return 200 no; }
    location /if/file { if (-f @FILES@/$arg_a) { return 200 yes; } return 200 no; }
    location /if/folder { if (-d @FILES@/$arg_a) { return 200 yes; } return 200 no; }
    location /if/exists { if (!-e @FILES@/$arg_a) { return 200 no; } return 200 yes; }
    location /if/executable { if (-x @FILES@/page) { return 200 yes; } return 200 no; }
    location /if/break { if ($arg_a) { break; } return 200 "not broken"; }
    location /if/group { if ($uri ~ ^/if/(.*)$) { set $first $1; } if ($arg_a ~ z) { }
                         return 200 "$first [$1]"; }

    location /return/code { return 403; }
    location /return/text { return 402 "pay"; }
    location /return/away { return 307 /there; }
    location /return/nothing { return 204; }
    location /return/silence { return 444; }
  }
)";

struct Row {
  std::string_view target;
  std::string_view answer;  // the status, and the body or the Location
  std::string_view why;
};

constexpr Row kRows[] = {
    {"/a?b=c", "200 root /a ? b=c", "no row changes it"},
    {"/server/a", "200 moved /moved/a ? ", "the server's script runs before there is a location"},
    {"/last/a?b=c", "200 moved /moved/a ? b=c", "last: a location is looked for again, at once"},
    {"/break/a", "404", "break: the URI is new, the location is not, and no later step is run"},
    {"/on/a", "200 moved /moved/again/a ? ", "without a flag the next row sees the new URI"},
    {"/first/a", "200 moved /moved/a ? ", "after last it does not"},
    {"/loop/a", "500", "a location that leads to itself is left after ten times"},
    {"/hidden/x", "404", "clients do not reach an internal location"},
    {"/to-hidden", "200 hidden", "a rewrite does"},
    {"/empty/", "500", "an empty URI is nobody's"},
    // The query.
    {"/args/keep?c=2", "200 moved /moved/a ? c=2", "it is kept"},
    {"/args/add?c=2", "200 moved /moved/a ? b=1&c=2", "behind what is added"},
    {"/args/add", "200 moved /moved/a ? b=1", "if there is one"},
    {"/args/drop?c=2", "200 moved /moved/a ? ", "a final ? drops it"},
    {"/args/replace?c=2", "200 moved /moved/a ? b=1", "also behind a new one"},
    {"/args/group/x%26y", "200 moved /moved/a ? of=x%26y", "a group stays one argument"},
    // Redirects.
    {"/redirect/a?b", "302 http://a.example/new/a?b", "redirect: the client asks again"},
    {"/permanent/a", "301 http://a.example/new/a", "permanent"},
    {"/absolute/a", "302 http://b.example/new/a", "another site is a redirect without a flag"},
    {"/scheme", "302 http://b.example/new", "so is $scheme"},
    {"/redirect/a%20b", "302 http://a.example/new/a%20b", "what was encoded stays encoded"},
    // set, if.
    {"/set", "200 hello ann", "a variable, and one made of it"},
    {"/if/equal?a=1", "200 yes", "="},
    {"/if/equal?a=2", "200 no", "="},
    {"/if/unequal?a=2", "200 yes", "!="},
    {"/if/true?a=x", "200 yes", "any value but"},
    {"/if/true?a=0", "200 no", "0"},
    {"/if/true?a=", "200 no", "or nothing"},
    {"/if/match?a=bc", "200 yes c", "~ leaves groups"},
    {"/if/match?a=Bc", "200 no", "~ minds letters"},
    {"/if/any-case?a=Bc", "200 yes", "~* does not"},
    {"/if/unmatch?a=c", "200 yes", "!~"},
    {"/if/file?a=page", "200 yes", "-f"},
    {"/if/file?a=none", "200 no", "-f"},
    {"/if/file?a=", "200 no", "-f of a folder"},
    {"/if/folder?a=", "200 yes", "-d"},
    {"/if/folder?a=page", "200 no", "-d of a file"},
    {"/if/exists?a=page", "200 yes", "!-e"},
    {"/if/exists?a=none", "200 no", "!-e"},
    {"/if/file?a=../page", "200 no", "a path that climbs is no file"},
    {"/if/executable", "200 no", "-x"},
    {"/if/break?a=1", "404", "break ends the script: the location answers, and has nothing"},
    {"/if/break", "200 not broken", "or not"},
    {"/if/group", "200 group []", "a later expression without a match empties the groups"},
    // return.
    {"/return/code", "403", "a page of its own"},
    {"/return/text", "402 pay", "or this text"},
    {"/return/away", "307 http://a.example/there", "a redirect's text is its Location"},
    {"/return/nothing", "204", "nothing at all"},
    {"/return/silence", "closed", "not even a head"},
};

class RewriteTest : public ExchangeTest {
 protected:
  RewriteTest() : ExchangeTest(kServers) {}

  std::string Ask(std::string_view target) {
    stream_.heads.clear();
    stream_.body.clear();
    Start(fmt::format("GET {} HTTP/1.1\r\nHost: a.example\r\n\r\n", target));
    const std::string answer = Answer();
    exchange_.Reset();
    return answer;
  }

 private:
  std::string Answer() const {
    if (stream_.heads.empty()) return "closed";
    const ResponseHead& head = stream_.heads[0];
    if (head.location.data() != nullptr) return fmt::format("{} {}", head.status, head.location);
    const bool is_page = stream_.body.starts_with("<!doctype html>");
    return is_page || stream_.body.empty() ? fmt::format("{}", head.status)
                                           : fmt::format("{} {}", head.status, stream_.body);
  }
};

TEST_F(RewriteTest, DoesWhatTheTableSays) {
  for (const Row& row : kRows)
    EXPECT_EQ(Ask(row.target), row.answer) << row.target << ": " << row.why;
}

}  // namespace
}  // namespace limpet::worker
