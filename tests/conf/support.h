// Loads configuration text in tests.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <memory_resource>
#include <string>

#include "conf/config.h"

namespace limpet::conf {

inline Result<std::unique_ptr<const Config>> TryLoad(const std::string& text) {
  return LoadText(text, {.prefix = "/nowhere/", .file = "t.conf", .cpus = 4});
}

inline std::unique_ptr<const Config> MustLoad(const std::string& text) {
  auto config = TryLoad(text);
  if (!config) {
    ADD_FAILURE() << config.error().message << "\n" << text;
    std::abort();
  }
  return std::move(*config);
}

// The message, or "loaded" if there is none.
inline std::string LoadError(const std::string& text) {
  const auto config = TryLoad(text);
  return config ? "loaded" : config.error().message;
}

// Inside http { }, server { } and location / { }, all on line 1.
inline std::string InHttp(const std::string& text) { return "events {} http { " + text + " }"; }
inline std::string InServer(const std::string& text) {
  return InHttp("server { listen 127.0.0.1:8080; " + text + " }");
}
inline std::string InLocation(const std::string& text) {
  return InServer("location / { " + text + " }");
}

inline const Location& FirstLocation(const Config& config) {
  return *config.http->servers[0]->locations[0];
}

// Variables by name, for evaluating templates without a request.
class FakeReader final : public VariableReader {
 public:
  explicit FakeReader(const VariableTable& table) : table_(table) {}

  std::map<std::string, std::string> values;

  Value Get(VariableId id) override {
    const Variable& v = table_[id];
    if (const auto it = values.find(v.name); it != values.end()) return Value::Of(it->second);
    if (v.derived) return Derive(v);
    return Value::None();
  }
  Captures& captures() override { return captures_; }
  void SetNamed(VariableId id, Value value) override {
    values[table_[id].name] = std::string(value.text);
  }
  char* Allocate(size_t size) override { return static_cast<char*>(memory_.allocate(size, 1)); }

  // The value of a variable, as text.
  std::string Eval(const std::string& name) {
    for (size_t id = 0; id < table_.size(); ++id) {
      if (table_[static_cast<VariableId>(id)].name == name)
        return std::string(Get(static_cast<VariableId>(id)).text);
    }
    return "no such variable";
  }

 private:
  const VariableTable& table_;
  Captures captures_;
  std::pmr::monotonic_buffer_resource memory_;
};

}  // namespace limpet::conf
