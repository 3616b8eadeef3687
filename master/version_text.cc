// What -v, -V and -h print.
#include <fmt/core.h>
#include <openssl/crypto.h>

#include "master/command_line.h"
#include "master/paths.h"
#include "worker/control.h"

namespace limpet::master {
namespace {

// The mainline version whose language and behaviour are followed.
constexpr std::string_view kLanguageVersion = "1.31.5";

// Only what is built is claimed, and what nginx builds by default but limpet has not is disclaimed.
constexpr std::string_view kConfigureArguments =
    "--with-http_ssl_module --with-http_v2_module --with-http_stub_status_module "
    "--with-http_realip_module --with-http_auth_request_module --with-http_gunzip_module "
    "--with-http_gzip_static_module --with-http_sub_module --with-debug "
    "--without-http-cache --without-http_ssi_module --without-http_browser_module "
    "--without-http_fastcgi_module --without-http_uwsgi_module --without-http_scgi_module "
    "--without-http_grpc_module --without-http_memcached_module "
    "--without-http_userid_module --without-http_tunnel_module "
    "--without-http_upstream_least_time_module";

}  // namespace

std::string VersionText() { return "limpet version: limpet/" LIMPET_VERSION "\n"; }

std::string BuildText(bool compatible) {
  std::string text = VersionText();
  if (compatible) text += fmt::format("nginx version: nginx/{} (compatible)\n", kLanguageVersion);
  text += fmt::format(
      "configuration language: nginx {}\n"
      "built by {} {}\n"
      "built with {}\n"
      "TLS SNI support enabled\n",
      kLanguageVersion,
#ifdef __clang__
      "clang", __clang_version__,
#else
      "gcc", __VERSION__,
#endif
      OpenSSL_version(OPENSSL_VERSION));
  if (compatible) {
    text += fmt::format("configure arguments: {}\n", kConfigureArguments);
  }
  return text;
}

std::string HelpText() {
  return fmt::format(
      "{}Usage: limpet [-?hvVtTq] [-s signal] [-p prefix]\n"
      "              [-e filename] [-c filename] [-g directives] [command]\n\n"
      "Options:\n"
      "  -?,-h,--help  : this help\n"
      "  -v,--version  : show version and exit\n"
      "  -V            : show version and what is built in, then exit\n"
      "  -t            : test the configuration and exit\n"
      "  -T            : test the configuration, dump it and exit\n"
      "  -q            : suppress non-error messages during configuration testing\n"
      "  -s signal     : send signal to the master process: stop, quit, reopen, reload,\n"
      "                  or upgrade: change its binary\n"
      "  -p prefix     : set prefix path (default: {})\n"
      "  -e filename   : set error log file (default: {})\n"
      "  -c filename   : set configuration file (default: {})\n"
      "  -g directives : set global directives out of configuration file\n\n"
      "Commands, which the running master process answers:\n"
      "{}"
      "  upgrade                   : changes the binary, as -s upgrade does\n"
      "\nBehind a command:\n"
      "  --help                    : more about it\n"
      "  --json                    : shows the answer as JSON\n"
      "  -w seconds                : asks again and again, so many seconds apart\n"
      "  --socket path             : of the master process, if not as the configuration says\n",
      VersionText(), kDefaultPrefix, kDefaultErrorLog, kDefaultFile, worker::CommandList());
}

}  // namespace limpet::master
