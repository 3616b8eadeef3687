#include "worker/http/exchange/subrequest.h"

#include "worker/http/exchange/response_writer.h"

namespace limpet::worker {

Subrequest::Subrequest(Exchange& parent, Callback done)
    : parent_(parent), exchange_(parent.runtime()), done_(parent.runtime().loop, done) {}

Subrequest::~Subrequest() {
  done_.Cancel();
  exchange_.Reset();
}

void Subrequest::Start(std::string_view uri) {
  const size_t question = uri.find('?');
  const bool has_args = question != std::string_view::npos;
  exchange_.StartSubrequest(*this, parent_, uri.substr(0, question),
                            has_args ? uri.substr(question + 1) : std::string_view(),
                            Exchange::Copied::kNothing);
}

void Subrequest::StartCopy(std::string_view uri, bool with_body) {
  exchange_.StartSubrequest(
      *this, parent_, uri, parent_.request().args,
      with_body ? Exchange::Copied::kMethodAndBody : Exchange::Copied::kMethod);
}

void Subrequest::Abort(bool) {
  failed_ = !exchange_.writer().head_sent();
  FinishResponse();
}

}  // namespace limpet::worker
