#include "worker/http/proxy/proxy_headers.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "proto/escape.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/head_composer.h"
#include "worker/http/proxy/proxy_rewrite.h"

namespace limpet::worker {
namespace {

using proto::Header;
using proto::HeaderId;

// As it can stand in a request line: what would end the URI is encoded, wherever it came from.
std::string_view ForRequestLine(std::string_view uri, Arena& arena) {
  if (!proto::NeedsEscape(uri, proto::EscapeKind::kLine)) return uri;
  return arena.Copy(proto::EscapeUri(uri, proto::EscapeKind::kLine));
}

// nginx escapes a changed URI only if it had been sent escaped, or came from an internal redirect.
bool MustEscape(const Request& request) {
  if (request.internal) return true;
  const std::string_view sent = request.unparsed_uri.substr(0, request.unparsed_uri.find('?'));
  return sent.find('%') != std::string_view::npos;
}

void AddBodyHeaders(const ProxyPlan& plan, const UpstreamBody& body, HeadComposer* head) {
  const int64_t least = plan.no_zero_length ? 1 : 0;
  if (!body.chunked && body.length >= least) {
    head->Add("Content-Length: ");
    head->AddNumber(static_cast<uint64_t>(body.length));
    head->Add("\r\n");
  }
  if (body.chunked) head->Add("Transfer-Encoding: chunked\r\n");
}

// Connection names fields that the next hop takes away. What frames the message and whom it is for
// must arrive: a client may have a say in the value.
constexpr std::array kKept = {HeaderId::kContentLength, HeaderId::kTransferEncoding,
                              HeaderId::kHost};

bool TakesAwayWhatMustArrive(std::string_view connection) {
  return std::ranges::any_of(kKept, [connection](HeaderId id) {
    return proto::ListHasToken(connection, proto::Name(id));
  });
}

bool AddSetHeader(const conf::SetHeader& header, std::string_view value, HeadComposer* head) {
  if (value.empty()) return true;
  if (proto::LookupHeader(header.name) == HeaderId::kConnection && TakesAwayWhatMustArrive(value))
    return true;
  return head->AddField(header.name, value);
}

bool AddHost(const ProxyPlan& plan, bool http11, std::string_view proxy_host,
             conf::VariableReader& reader, HeadComposer* head) {
  std::string_view host = plan.host != nullptr ? plan.host->Evaluate(reader) : proxy_host;
  if (host.empty() && http11) host = proxy_host;  // HTTP/1.1 has no request without Host
  return host.empty() || head->AddField("Host", host);
}

// The name of the field that cannot be sent, or "".
std::string_view AddFields(conf::VariableReader& reader, const ProxyPlan& plan,
                           HeadComposer* head) {
  for (const conf::SetHeader* header : plan.set_headers) {
    if (!AddSetHeader(*header, header->value.Evaluate(reader), head)) return header->name;
  }
  return {};
}

std::string_view PassFields(const Request& request, const ProxyPlan& plan, HeadComposer* head) {
  for (const Header& header : request.headers()) {
    if (!plan.overridden.Has(header) && !head->AddField(header)) return header.name;
  }
  return {};
}

// Of these an upstream may send one; the first counts (nginx's rule).
constexpr proto::HeaderIds kSingle = {
    HeaderId::kStatus,        HeaderId::kContentType,    HeaderId::kDate,
    HeaderId::kLastModified,  HeaderId::kEtag,           HeaderId::kServer,
    HeaderId::kLocation,      HeaderId::kRefresh,        HeaderId::kExpires,
    HeaderId::kXAccelExpires, HeaderId::kXAccelRedirect, HeaderId::kXAccelLimitRate};

void LogDuplicate(Exchange& exchange, const proto::HeaderList& headers, const Header& header) {
  const Header* previous = headers.Find(header.id);
  exchange.Log(
      LogLevel::kWarn,
      fmt::format("upstream sent duplicate header line: \"{}: {}\", previous value: \"{}: {}\", "
                  "ignored while reading response header from upstream",
                  header.name, header.value, previous->name, previous->value));
}

void CopyLocation(Exchange& exchange, const Header& header) {
  if (const auto rewritten = RewriteLocationField(exchange, header.value)) {
    exchange.response().location = *rewritten;  // becomes absolute, as our own would
  } else {
    exchange.response().headers.Add(header.id, header.name, header.value);
  }
}

void CopyField(Exchange& exchange, int status, const Header& header) {
  Response& response = exchange.response();
  std::string_view value = header.value;
  switch (header.id) {
    case HeaderId::kContentLength:  // framing is our own
    case HeaderId::kTransferEncoding:
    case HeaderId::kConnection:
    case HeaderId::kKeepAlive:
    case HeaderId::kProxyConnection:
      return;
    case HeaderId::kUpgrade:
      if (status != 101 && status != 426) return;
      break;
    case HeaderId::kAcceptRanges:
      if (exchange.location().proxy.force_ranges) return;  // we say it ourselves
      break;
    case HeaderId::kContentType:
      response.content_type = value;
      return;
    case HeaderId::kDate:
      response.date = value;
      return;
    case HeaderId::kServer:
      response.server = value;
      return;
    case HeaderId::kLastModified:
      response.last_modified_text = value;
      return;
    case HeaderId::kEtag:
      response.etag = value;
      return;
    case HeaderId::kLocation:
      CopyLocation(exchange, header);
      return;
    case HeaderId::kRefresh:
      value = RewriteRefreshField(exchange, value).value_or(value);
      break;
    case HeaderId::kSetCookie:
      value = RewriteSetCookieField(exchange, value).value_or(value);
      break;
    default:
      break;
  }
  response.headers.Add(header.id, header.name, value,
                       header.fit && value.data() == header.value.data());
}

}  // namespace

std::string_view UpstreamUri(const Request& request, const UpstreamTarget& target, Arena& arena) {
  if (target.uri_is_whole && !target.uri.empty()) return ForRequestLine(target.uri, arena);
  if (target.uri.empty() && request.uri_is_original) return request.unparsed_uri;

  const bool replaces = request.under_location && !target.uri.empty();
  const size_t matched = replaces ? std::min(request.location->name.size(), request.uri.size()) : 0;
  std::string_view rest = request.uri.substr(matched);
  std::string escaped;
  if (MustEscape(request) && proto::NeedsEscape(rest, proto::EscapeKind::kUri)) {
    escaped = proto::EscapeUri(rest, proto::EscapeKind::kUri);
    rest = escaped;
  }
  const std::string_view uri =
      arena.Concat(request.under_location ? target.uri : std::string_view(), rest,
                   std::string_view(request.args.empty() ? "" : "?"), request.args);
  return ForRequestLine(uri, arena);
}

std::string_view WriteUpstreamRequest(conf::VariableReader& reader, const Request& request,
                                      const conf::ProxySettings& proxy, const ProxyPlan& plan,
                                      std::string_view proxy_host, std::string_view uri,
                                      UpstreamBody body, OutputQueue* out) {
  std::string_view own_body;
  if (proxy.set_body) {
    own_body = proxy.set_body->Evaluate(reader);
    body = {.length = static_cast<int64_t>(own_body.size()), .chunked = false};
  }
  const bool http11 = proxy.http_version >= 11;
  std::string_view method = proxy.method.Evaluate(reader);
  if (method.empty()) method = request.method_name;
  if (!proto::IsToken(method)) return "proxy_method";
  {
    HeadComposer head(out, uri.size() + request.head_length + 512);
    head.Add(method, " ", uri, http11 ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n");
    if (!AddHost(plan, http11, proxy_host, reader, &head)) return "Host";
    if (const auto unfit = AddFields(reader, plan, &head); !unfit.empty()) return unfit;
    AddBodyHeaders(plan, body, &head);
    if (proxy.pass_request_headers) {
      if (const auto unfit = PassFields(request, plan, &head); !unfit.empty()) return unfit;
    }
    head.Add("\r\n");
  }
  if (!own_body.empty()) out->Append(own_body);
  return {};
}

bool AsksToUpgrade(Exchange& exchange) {
  if (!exchange.request().headers().Has(HeaderId::kUpgrade)) return false;
  const auto& set = exchange.runtime().proxy_plans.For(exchange.location()).set_headers;
  return std::any_of(set.begin(), set.end(), [&](const conf::SetHeader* header) {
    return EqualsIgnoreCase(header->name, "Upgrade") && !exchange.Evaluate(header->value).empty();
  });
}

proto::Method UpstreamMethod(Exchange& exchange) {
  const std::string_view method = exchange.Evaluate(exchange.location().proxy.method);
  if (method.empty()) return exchange.request().method;
  return method == "HEAD" ? proto::Method::kHead : proto::Method::kGet;
}

std::string_view BuildUpstreamRequest(Exchange& exchange, std::string_view proxy_host,
                                      std::string_view uri, const UpstreamBody& body,
                                      OutputQueue* out) {
  const conf::Location& location = exchange.location();
  return WriteUpstreamRequest(exchange, exchange.request(), location.proxy,
                              exchange.runtime().proxy_plans.For(location), proxy_host, uri, body,
                              out);
}

void FilterUpstreamHead(Exchange& exchange, const proto::ResponseHead& head) {
  const ProxyPlan& plan = exchange.runtime().proxy_plans.For(exchange.location());
  Response& response = exchange.response();
  response.status = head.status;
  response.status_line = head.status_line;
  response.from_upstream = true;
  response.own_server = plan.hidden.Has(HeaderId::kServer);
  response.own_date = plan.hidden.Has(HeaderId::kDate);
  response.allow_ranges = exchange.location().proxy.force_ranges;
  proto::HeaderIds seen;
  for (const Header& header : head.headers) {
    if (kSingle.Has(header.id)) {
      if (seen.Has(header.id)) {
        LogDuplicate(exchange, head.headers, header);
        continue;
      }
      seen.Add(header.id);
    }
    if (!plan.hidden.Has(header)) CopyField(exchange, head.status, header);
  }
}

void FilterUpstreamTrailers(Exchange& exchange, const proto::HeaderList& trailers) {
  if (!exchange.location().proxy.pass_trailers) return;
  const ProxyPlan& plan = exchange.runtime().proxy_plans.For(exchange.location());
  for (const Header& trailer : trailers) {
    if (!plan.hidden.Has(trailer) && !proto::IsOfTheHop(trailer.id))
      exchange.response().TrailersToFill().Add(trailer.id, trailer.name, trailer.value);
  }
}

}  // namespace limpet::worker
