#include "worker/stapler.h"

#include <algorithm>
#include <limits>

#include "base/clock.h"
#include "worker/http/proxy/upstream_lookup.h"
#include "worker/ocsp_fetch.h"

namespace limpet::worker {
namespace {

constexpr int64_t kSoonestS = 300;  // between two questions, and after a failure
constexpr int64_t kLatestS = 3600;  // an answer is renewed at least so often
constexpr int64_t kBeforeEndS = 300;

}  // namespace

// One certificate: asked for, waited for, asked for again.
class Stapler::Subject {
 public:
  Subject(Runtime& runtime, const conf::Server& server, Staple& staple, size_t index)
      : runtime_(runtime),
        server_(server),
        staple_(staple),
        index_(index),
        timer_(runtime.loop, Callback::To<&Subject::OnTimer>(this)),
        lookup_(Callback::To<&Subject::OnResolved>(this)),
        fetch_(runtime.loop, Callback::To<&Subject::OnFetched>(this)) {}

  void Start() { timer_.Arm(uint64_t{1}); }
  void Stop() {
    timer_.Disarm();
    lookup_.Cancel();
    fetch_.Cancel();
  }

 private:
  const OcspSubject& subject() const { return staple_.subject(index_); }

  void OnTimer() {
    if (lookup_.waiting() || fetch_.running()) {
      Stop();
      return Fail("OCSP responder timed out");
    }
    timer_.Arm(uint64_t{kTimeoutMs});
    Resolver* resolver = FindResolver(runtime_, *server_.root);
    if (resolver == nullptr || SocketAddress::ParseIp(subject().host(), 0)) {
      fetch_.Start(subject().addresses().front(), subject().Request());
    } else if (lookup_.Start(*resolver, subject().host())) {
      OnResolved();
    }
  }

  void OnResolved() {
    const ResolveAnswer& answer = lookup_.answer();
    SocketAddress address = subject().addresses().front();  // at load
    if (answer.error == ResolveError::kNone) {
      address = answer.addresses.front();
      address.set_port(subject().port());
    }
    fetch_.Start(address, subject().Request());
  }

  void OnFetched() {
    if (!fetch_.failed().empty()) return Fail(fetch_.failed());
    const OcspSubject::Answer answer = subject().Judge(fetch_.body());
    if (!answer.bad.empty()) return Fail(answer.bad);
    staple_.Set(index_, std::string(fetch_.body().substr(0, answer.size)), answer.valid_until_s);
    const int64_t left = answer.valid_until_s == std::numeric_limits<int64_t>::max()
                             ? kLatestS
                             : answer.valid_until_s - Now().seconds - kBeforeEndS;
    Sleep(std::clamp(left, kSoonestS, kLatestS));
  }

  void Fail(const std::string& why) {
    LIMPET_LOG(runtime_.logs[0], LogLevel::kError,
               "{} while requesting certificate status, responder: {}, certificate: \"{}\"", why,
               subject().host(), subject().name());
    Sleep(kSoonestS);
  }

  void Sleep(int64_t seconds) { timer_.Arm(static_cast<uint64_t>(seconds) * 1000); }

  static constexpr uint64_t kTimeoutMs = 60'000;  // for one answer
  Runtime& runtime_;
  const conf::Server& server_;
  Staple& staple_;
  size_t index_;
  Timer timer_;
  Lookup lookup_;
  OcspFetch fetch_;
};

Stapler::Stapler(Runtime& runtime, const TlsStore& store) {
  for (const auto& [server, context] : store.servers) {
    for (size_t i = 0; i < context->staple().size(); ++i) {
      subjects_.push_back(std::make_unique<Subject>(runtime, *server, context->staple(), i));
    }
  }
}

Stapler::~Stapler() = default;

void Stapler::Start() {
  for (const auto& subject : subjects_) subject->Start();
}

void Stapler::Stop() {
  for (const auto& subject : subjects_) subject->Stop();
}

}  // namespace limpet::worker
