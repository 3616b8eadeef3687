// Asks for the status of our certificates by OCSP and keeps it fresh (ssl_stapling): each worker
// for itself, from its start on. Until there is a good answer nothing is stapled; an answer is used
// until the next good one, or its end.
#pragma once

#include <memory>
#include <vector>

#include "worker/http/exchange/runtime.h"
#include "worker/tls_store.h"

namespace limpet::worker {

class OcspFetch;

class Stapler {
 public:
  Stapler(Runtime& runtime, const TlsStore& store);
  ~Stapler();

  void Start();
  void Stop();  // of a worker that ends

 private:
  class Subject;
  std::vector<std::unique_ptr<Subject>> subjects_;
};

}  // namespace limpet::worker
