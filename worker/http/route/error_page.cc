#include "worker/http/route/error_page.h"

#include <algorithm>
#include <vector>

#include "proto/status.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/hooks.h"
#include "worker/http/exchange/version.h"

namespace limpet::worker {
namespace {

const conf::ErrorPage* FindErrorPage(const conf::Location& location, int status) {
  for (const conf::ErrorPage& page : location.response.error_pages) {
    if (std::find(page.codes.begin(), page.codes.end(), status) != page.codes.end()) return &page;
  }
  return nullptr;
}

// After these the connection is not kept: the rest of the request cannot be trusted or is not
// wanted.
bool ClosesConnection(int status) {
  return status == 400 || status == 413 || status == 414 || (status >= 494 && status <= 497) ||
         status == 500 || status == 501;
}

// Codes between nginx and itself; the client sees 400.
int VisibleStatus(int status) { return status >= 494 && status <= 497 ? 400 : status; }

std::string_view Title(int status) {
  switch (status) {
    case 302:
      return "302 Found";
    case 401:
      return "401 Authorization Required";
    case 494:
      return "400 Request Header Or Cookie Too Large";
    case 495:
      return "400 The SSL certificate error";
    case 496:
      return "400 No required SSL certificate was sent";
    case 497:
      return "400 The plain HTTP request was sent to HTTPS port";
    default:
      return proto::StatusText(status);
  }
}

std::string_view Detail(int status) {
  switch (status) {
    case 494:
      return "<center>Request Header Or Cookie Too Large</center>\r\n";
    case 495:
      return "<center>The SSL certificate error</center>\r\n";
    case 496:
      return "<center>No required SSL certificate was sent</center>\r\n";
    case 497:
      return "<center>The plain HTTP request was sent to HTTPS port</center>\r\n";
    default:
      return "";
  }
}

// msie_padding: these browsers take a short error page for a mute server and show one of their own.
std::string_view Padding(Exchange& exchange, int status) {
  const proto::Header* agent = exchange.request().headers().Find(proto::HeaderId::kUserAgent);
  if (agent == nullptr || status < 400 || !exchange.location().response.msie_padding) return "";
  const auto names = [agent](std::string_view word) {
    return agent->value.find(word) != std::string_view::npos;
  };
  const bool msie = names("MSIE "), chrome = names("Chrome/") && !names("Gecko/");
  if (names("Opera") || (!msie && !chrome)) return "";
  static const std::string padding = [] {
    std::string text;
    for (int i = 0; i < 6; ++i)
      text += "<!-- padding, so that a browser shows this page and none of its own -->\r\n";
    return text;
  }();
  return padding;
}

// What an error says about itself: how to prove who one is, which ranges there are; and cookies: a
// session that has begun goes on.
bool IsOfError(const proto::Header& header, int status) {
  using proto::HeaderId;
  return header.id == HeaderId::kWwwAuthenticate || header.id == HeaderId::kSetCookie ||
         (header.id == HeaderId::kContentRange && status == 416);
}

// Of a head that had been made when its range turned out to be none: all but what the body alone
// needed.
bool IsOfWholeHead(const proto::Header& header) {
  return header.id != proto::HeaderId::kContentEncoding &&
         header.id != proto::HeaderId::kAcceptRanges;
}

enum class Keep : uint8_t { kError, kHead };

// Fields that are there before any head is made (of X-Accel-Redirect, of access control) are for
// whoever answers in the end.
bool IsKept(const Response& response, const proto::Header& header, int status, Keep keep) {
  const bool came_before = response.status == 0;
  if (keep == Keep::kError) return came_before || IsOfError(header, status);
  return came_before || response.has_own_fields ? IsOfWholeHead(header) : IsOfError(header, status);
}

// Forgets the response that was being made, but for what is kept and for where to go. It is copied:
// it may be of a peer's head, and another peer is asked for the page.
void StartOver(Exchange& exchange, int status, Keep keep) {
  Response& response = exchange.response();
  const bool keeps_head = keep == Keep::kHead && response.has_own_fields;
  const bool vary_gzip = keeps_head && response.vary_gzip;
  std::vector<proto::Header> kept;
  for (const proto::Header& header : response.headers) {
    if (IsKept(response, header, status, keep)) kept.push_back(header);
  }
  Arena& arena = exchange.arena();
  const std::string_view location = response.location;
  response.Reset();
  response.has_own_fields = keeps_head;
  response.vary_gzip = vary_gzip;
  response.location = location.empty() ? location : arena.Copy(location);
  for (const proto::Header& header : kept)
    response.headers.Add(header.id, arena.Copy(header.name), arena.Copy(header.value));
}

void GoToPage(Exchange& exchange, std::string_view uri, std::string_view written) {
  Request& request = exchange.request();
  if (request.method != proto::Method::kHead) {
    request.method = proto::Method::kGet;
    request.method_name = "GET";
  }
  const size_t question = uri.find('?');
  const bool has_args = question != std::string_view::npos;
  exchange.InternalRedirect(uri.substr(0, question),
                            has_args ? uri.substr(question + 1) : std::string_view(), written);
}

// Tools that know nginx's pages look at their form, too.
std::string_view NginxPage(Exchange& exchange, int status, std::string_view title) {
  return exchange.arena().Concat(
      "<html>\r\n<head><title>", title, "</title></head>\r\n<body>\r\n<center><h1>",
      status >= 494 && status <= 497 ? "400 Bad Request" : title, "</h1></center>\r\n",
      Detail(status), "<hr><center>", ServerToken(exchange), "</center>\r\n</body>\r\n</html>\r\n",
      Padding(exchange, status));
}

std::string_view OwnPage(Exchange& exchange, int status, std::string_view title) {
  std::string_view detail = status >= 494 && status <= 497 ? title.substr(4) : "";
  return exchange.arena().Concat(
      "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>", title,
      "</title></head>\n<body>\n<h1>", detail.empty() ? title : "400 Bad Request", "</h1>\n",
      detail.empty() ? "" : "<p>", detail, detail.empty() ? "" : "</p>\n", "<hr>\n<p>",
      ServerToken(exchange), "</p>\n</body>\n</html>\n", Padding(exchange, status));
}

}  // namespace

void CopyChallenges(Exchange& exchange, const proto::HeaderList& from) {
  for (const proto::Header& header : from) {
    if (header.id != proto::HeaderId::kWwwAuthenticate) continue;
    exchange.response().headers.Add(header.id, "WWW-Authenticate",
                                    exchange.arena().Copy(header.value));
  }
}

std::string_view ServerToken(Exchange& exchange) {
  using Tokens = conf::ResponseSettings::Tokens;
  const conf::ResponseSettings& settings = exchange.location().response;
  if (settings.server_tokens == Tokens::kTemplate)
    return exchange.Evaluate(settings.server_tokens_text);
  return ServerName(exchange.runtime().config, settings.server_tokens != Tokens::kOff);
}

bool TakeErrorPage(Exchange& exchange, int status) {
  const conf::ErrorPage* page = FindErrorPage(exchange.location(), status);
  if (page == nullptr ||
      !exchange.MarkErrorPage(page->overwrite >= 0 ? page->overwrite : VisibleStatus(status)))
    return false;
  if (ClosesConnection(status)) exchange.stream().LastForClient();
  StartOver(exchange, status, Keep::kError);
  const std::string_view uri = exchange.arena().Copy(exchange.Evaluate(page->uri));
  if (uri.starts_with('/')) {
    GoToPage(exchange, uri, page->uri.source());
  } else if (uri.starts_with('@')) {
    exchange.GoToNamed(uri);
  } else {
    exchange.response().location = uri;
    ReplyWithErrorPage(exchange, proto::IsRedirectStatus(page->overwrite) ? page->overwrite : 302);
  }
  return true;
}

void ReplyWithErrorPage(Exchange& exchange, int status) {
  if (ClosesConnection(status)) exchange.stream().LastForClient();
  StartOver(exchange, status, Keep::kHead);
  exchange.set_error_status(0);
  const std::string_view title = Title(status);
  if (status < 300 || status == 304 || title.empty()) {
    return exchange.Reply(status, "", "");
  }
  const std::string_view page = exchange.runtime().config.compatible_nginx
                                    ? NginxPage(exchange, status, title)
                                    : OwnPage(exchange, status, title);
  exchange.Reply(VisibleStatus(status), "text/html", page);
}

}  // namespace limpet::worker
