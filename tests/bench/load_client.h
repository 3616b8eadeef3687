// A client of many HTTP/1.1 connections to one port of this machine, that measures: closed (each
// connection sends its next request when it has its answer) or open (requests are due at a rate,
// answers or not, and a latency counts from when the request was due). One thread; times are
// CLOCK_MONOTONIC nanoseconds.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace limpet::bench {

struct LoadOptions {
  uint16_t port = 0;
  std::string path = "/";
  std::vector<std::string> headers;  // "{session}" in one stands for a session of the client
  std::vector<std::string> values;   // of sessions, drawn evenly; without them, a number:
  uint64_t sessions = 0;             // 1 to this one, as 32 hexadecimal digits
  bool in_order = false;             // sessions one after another, instead of drawn
  unsigned connections = 1;
  double rate = 0;        // requests a second of an open load; 0: closed
  double warm = 0;        // seconds of the same load before the measured ones
  double seconds = 1;     // measured
  uint64_t requests = 0;  // ends after these, if not 0
  bool tls = false;
  bool resume = false;  // a new connection resumes the last one's TLS session
  bool close = false;   // a connection a request
};

struct LoadFigures {
  std::vector<uint64_t> latencies;  // of answers
  std::vector<uint64_t> lateness;   // of an open load: how late each request was sent
  uint64_t failed = 0;              // another status than 200, a lost connection, no answer
  uint64_t handshakes = 0;
  uint64_t resumed = 0;
  uint64_t nanoseconds = 0;
};

class LoadClient {
 public:
  explicit LoadClient(const LoadOptions& options);
  ~LoadClient();

  // The load for so long. Requests on their way at the end are waited for, and count if they were
  // due before it.
  LoadFigures Run(double seconds, uint64_t requests);

 private:
  enum class State : uint8_t { kClosed, kConnecting, kHandshake, kIdle, kWaiting, kEnding };
  struct Connection;
  struct FreeContext {
    void operator()(SSL_CTX* context) const { ::SSL_CTX_free(context); }
  };

  void StartDue(uint64_t now);
  void Start(Connection& c, uint64_t due);
  void Open(Connection& c);
  void OnEvent(Connection& c, uint32_t events);
  bool Handshake(Connection& c);
  void Send(Connection& c);
  void Receive(Connection& c);
  bool Take(Connection& c, size_t size);  // bytes of buffer_; false if they are no answer
  void Answered(Connection& c);
  void Free(Connection& c);
  void Close(Connection& c);
  void Fail(Connection& c);
  ssize_t Read(Connection& c);
  bool WantsMore() const;
  uint64_t Gap();
  std::string Request();

  const LoadOptions options_;
  std::unique_ptr<SSL_CTX, FreeContext> context_;
  UniqueFd epoll_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::deque<Connection*> idle_;  // the longest first, so that all have their turn
  std::string before_, after_;    // of a request, around the session
  std::vector<char> buffer_;
  std::mt19937_64 random_{1};  // the same requests at the same times for everybody
  uint64_t session_ = 0;
  uint64_t next_due_ = 0;
  uint64_t end_ = 0;
  uint64_t wanted_ = 0;
  uint64_t started_ = 0;
  uint64_t waiting_ = 0;
  LoadFigures figures_;
};

}  // namespace limpet::bench
