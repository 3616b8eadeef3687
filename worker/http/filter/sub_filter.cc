#include "worker/http/filter/sub_filter.h"

#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/mime.h"
#include "worker/http/filter/gzip.h"

namespace limpet::worker {

SubFilter::SubFilter(BlockPool& pool, BodyFilter* next, std::vector<Pair> pairs, bool once)
    : ByteFilter(pool, next), pairs_(std::move(pairs)), once_(once) {
  for (const Pair& pair : pairs_) {
    const char first = pair.match[0];
    starts_[static_cast<unsigned char>(first)] = true;
    if (first >= 'a' && first <= 'z') starts_[static_cast<unsigned char>(first - 0x20)] = true;
  }
}

// The first text that fits; with one in front of it that may fit yet, more bytes decide.
SubFilter::Match SubFilter::Find(std::string_view rest, bool at_end, Pair** found) {
  for (Pair& pair : pairs_) {
    if (pair.done) continue;
    const size_t size = std::min(rest.size(), pair.match.size());
    if (!EqualsIgnoreCase(rest.substr(0, size), std::string_view(pair.match).substr(0, size)))
      continue;
    if (size < pair.match.size()) {
      if (!at_end) return Match::kMaybe;
      continue;
    }
    *found = &pair;
    return Match::kYes;
  }
  return Match::kNo;
}

// Up to what cannot be decided without more bytes, or until enough has been given on.
void SubFilter::Scan(bool at_end) {
  constexpr size_t kEnough = 16 * 1024;
  const std::string_view text = held_;
  size_t begin = 0, at = 0, given = 0;
  owes_ = false;
  while (at < text.size()) {
    if (!starts_[static_cast<unsigned char>(text[at])]) {
      ++at;
      continue;
    }
    Pair* pair = nullptr;
    const Match match = Find(text.substr(at), at_end, &pair);
    if (match == Match::kMaybe) break;
    if (match == Match::kNo) {
      ++at;
      continue;
    }
    Emit(text.substr(begin, at - begin));
    Emit(pair->replacement);
    pair->done = once_;
    at += pair->match.size();
    begin = at;
    given += pair->replacement.size();
    owes_ = given >= kEnough;
    if (owes_) break;
  }
  Emit(text.substr(begin, at - begin));
  held_.erase(0, at);
}

void SubFilter::Emit(std::string_view bytes) {
  while (!bytes.empty()) {
    if (!block_ || filled_ == block_.capacity()) {
      PassOn();
      block_ = pool_.Get(BlockSize::k16K);
      filled_ = passed_ = 0;
    }
    const size_t n = std::min(bytes.size(), block_.capacity() - filled_);
    std::memcpy(block_.data() + filled_, bytes.data(), n);
    filled_ += n;
    bytes.remove_prefix(n);
  }
}

void SubFilter::PassOn() {
  if (filled_ == passed_) return;
  next_->Write(block_, {block_.data() + passed_, filled_ - passed_});
  passed_ = filled_;
}

size_t SubFilter::Take(std::string_view bytes) {
  held_.append(bytes);
  Scan(false);
  PassOn();
  return bytes.size();
}

bool SubFilter::GiveEnd() {
  Scan(true);
  PassOn();
  if (owes_) return false;
  block_.Reset();
  return true;
}

namespace {

// With variables a text may be empty; where all are, the response stays what it is.
bool LooksForText(Exchange& exchange, const conf::SubFilterSettings& settings) {
  return std::ranges::any_of(settings.pairs, [&exchange](const auto& pair) {
    return !exchange.Evaluate(pair.match).empty();
  });
}

}  // namespace

bool ChangesText(Exchange& exchange) {
  const conf::SubFilterSettings& settings = exchange.location().response.sub_filter;
  Response& response = exchange.response();
  if (settings.pairs.empty() || response.content_length == 0 || response.is_upgrade) return false;
  if (!IsOneOfTypes(settings.types, settings.any_type, response.content_type)) return false;
  if (!LooksForText(exchange, settings)) return false;
  response.content_length = -1;
  response.allow_ranges = false;
  response.headers.RemoveAll(proto::HeaderId::kAcceptRanges);
  if (settings.keeps_last_modified) {
    response.etag = WeakEtag(response.etag, exchange.arena());
  } else {
    response.etag = response.last_modified_text = {};
    response.last_modified = -1;
  }
  return true;
}

std::unique_ptr<BodyFilter> MakeSubFilter(Exchange& exchange, BodyFilter* next) {
  const conf::SubFilterSettings& settings = exchange.location().response.sub_filter;
  std::vector<SubFilter::Pair> pairs;
  for (const conf::SubFilterSettings::Pair& pair : settings.pairs) {
    std::string match = ToLower(exchange.Evaluate(pair.match));
    if (match.empty()) continue;
    pairs.push_back({std::move(match), exchange.arena().Copy(exchange.Evaluate(pair.replacement))});
  }
  if (pairs.empty()) return nullptr;
  return std::make_unique<SubFilter>(exchange.runtime().blocks, next, std::move(pairs),
                                     settings.once);
}

}  // namespace limpet::worker
