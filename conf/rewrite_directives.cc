// The rewrite script: set, if, return, rewrite, break. Compiled in the order written.
#include <array>

#include "conf/condition.h"
#include "conf/loader.h"
#include "conf/setting.h"
#include "conf/tables.h"

namespace limpet::conf {
namespace {

constexpr int kMaxCode = 999;

bool IsUrl(std::string_view text) {
  return text.starts_with("http://") || text.starts_with("https://") || text.starts_with("$scheme");
}

Status Set(Block& b, const Directive& d) {
  const std::string& name = d.args[0];
  if (!name.starts_with('$') || name.size() == 1)
    return InvalidArgument(fmt::format("invalid variable name \"{}\"", name));
  const std::string_view bare = std::string_view(name).substr(1);
  VariableTable& variables = b.http->variables;
  const VariableId id = variables.Mention(bare, Where(d));
  // As in nginx, one with a prefix ($http_NAME) has its own value until it is set.
  if (variables[id].suffix.empty()) {
    if (const auto defined = variables.DefineUser(bare, Where(d)); !defined) return defined.error();
  }
  variables.NoteSet(id);
  RewriteStep step{.kind = RewriteStep::Kind::kSet, .variable = id};
  if (Status s = Strings{}(b, d, d.args[1], step.value); !s) return s;
  b.script->push_back(std::move(step));
  return {};
}

Status Break(Block& b, const Directive&) {
  b.script->push_back({.kind = RewriteStep::Kind::kBreak});
  return {};
}

// `return CODE`, `return CODE TEXT`, `return CODE URL`, `return URL`
Status ReturnRow(Block& b, const Directive& d) {
  RewriteStep step{.kind = RewriteStep::Kind::kReturn};
  Return& reply = step.reply;
  const auto code = ParseDecimal(d.args[0]);
  if (code && *code <= kMaxCode) {
    reply.status = static_cast<int>(*code);
  } else if (!code && d.args.size() == 1 && IsUrl(d.args[0])) {
    reply.status = 302;
  } else {
    return InvalidArgument(
        fmt::format("invalid return code \"{}\": it is 0 to {}, or a URL", d.args[0], kMaxCode));
  }
  if (d.args.size() == 2 || !code) {
    if (Status s = Strings{}(b, d, d.args.back(), reply.text); !s) return s;
  }
  b.script->push_back(std::move(step));
  return {};
}

Result<RewriteStep::Flag> RewriteFlag(const Directive& d) {
  using Flag = RewriteStep::Flag;
  const std::string& word = d.args[2];
  if (word == "last") return Flag::kLast;
  if (word == "break") return Flag::kBreak;
  if (word == "redirect") return Flag::kRedirect;
  if (word == "permanent") return Flag::kPermanent;
  return InvalidParameter(word);
}

Status Rewrite(Block& b, const Directive& d) {
  RewriteStep step{.kind = RewriteStep::Kind::kRewrite};
  std::string replacement = d.args[1];
  if (replacement.empty()) return InvalidArgument("empty replacement");
  auto regex = CompileRegex(b, d, d.args[0], false, &step.named);
  if (!regex) return regex.error();
  step.regex = std::move(*regex);
  if (d.args.size() == 3) {
    const Result<RewriteStep::Flag> flag = RewriteFlag(d);
    if (!flag) return flag.error();
    step.flag = *flag;
  }
  step.drops_args = replacement.ends_with('?');
  if (step.drops_args) replacement.pop_back();
  step.is_absolute = IsUrl(replacement);
  const size_t question = replacement.find('?');
  step.has_args = question != std::string::npos;
  if (step.has_args) {
    if (Status s = Strings{}(b, d, replacement.substr(question + 1), step.args); !s) return s;
    replacement.resize(question);
  }
  if (Status s = Strings{}(b, d, replacement, step.value); !s) return s;
  b.script->push_back(std::move(step));
  return {};
}

// At server level an `if` only runs its script. In a location its body is a location, which takes
// over if the condition holds.
Status If(Block& outer, const Directive& d) {
  RewriteStep step{.kind = RewriteStep::Kind::kIf};
  if (Status s = ParseCondition(outer, d, &step.condition); !s) return At(d, s.error().message);
  const bool in_server = outer.context == kServer;
  Block block{.loader = outer.loader,
              .context = in_server ? kServerIf : kLocationIf,
              .config = outer.config,
              .http = outer.http,
              .server = outer.server,
              .location = outer.location,
              .script = &step.then};
  if (!in_server) {
    auto body = Inherit(*outer.location, LocationKind::kIf);
    step.location = block.location = body.get();
    outer.server->locations.push_back(std::move(body));
  }
  if (Status s = outer.loader.Apply(d.block, block); !s) return s;
  outer.script->push_back(std::move(step));
  return {};
}

constexpr uint32_t kOuter = kServer | kLocation;
constexpr uint32_t kHere = kOuter | kServerIf | kLocationIf;

constexpr std::array kRows = std::to_array<Row>({
    {"rewrite", kHere, Takes(2, 3), kMany | kOrdered, Rewrite, "",
     "PATTERN REPLACEMENT [last | break | redirect | permanent]: changes the URI, or redirects"},
    {"return", kHere, Takes(1, 2), kMany | kOrdered, ReturnRow, "",
     "CODE [TEXT | URL], or URL: answers at once"},
    {"break", kHere, kNoArgs, kMany | kOrdered, Break, "", "ends the script"},
    {"set", kHere, Takes(2), kMany | kOrdered, Set, "", "$NAME VALUE: gives a variable a value"},
    {"if", kOuter, AtLeast(1), kBlock | kMany | kOrdered, If, "",
     "($VAR [= | != | ~ | ~* | !~ | !~*] VALUE) or ([!]-f | -d | -e | -x PATH)"},
    {"rewrite_log", kHttpServerLocation | kServerIf | kLocationIf, kOneArg, kOnce,
     Setting<Flag, &Location::rewrite_log>, "off", "tell of the script's matches in the error log"},
    {"uninitialized_variable_warn", kHttpServerLocation | kServerIf | kLocationIf, kOneArg, kOnce,
     Setting<Flag, &Location::warn_uninitialized>, "on", "warn of variables used before their set"},
});

}  // namespace

constinit const std::span<const Row> kRewriteDirectives = kRows;

}  // namespace limpet::conf
