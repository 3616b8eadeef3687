#include "proto/proxy_protocol.h"

#include <gtest/gtest.h>

namespace limpet::proto {
namespace {

using namespace std::string_literals;

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;

std::string Tlv(char type, const std::string& value) {
  return std::string{type, static_cast<char>(value.size() >> 8), static_cast<char>(value.size())} +
         value;
}

std::string V2(char version_command, char family_transport, const std::string& body) {
  return kSignature + version_command + family_transport + static_cast<char>(body.size() >> 8) +
         static_cast<char>(body.size()) + body;
}

const std::string kV4Body = "\xC0\x00\x02\x01\xC0\x00\x02\x02\x04\xD2\x00\x50"s;

void ExpectWhatever(const std::string& header, ProxyStatus expected) {
  ProxyInfo info;
  size_t consumed = 0;
  EXPECT_EQ(ParseProxyHeader(header, &info, &consumed), expected) << header;
}

TEST(ProxyProtocol, ReadsV1) {
  ProxyInfo info;
  size_t consumed = 0;
  const std::string header = "PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n";
  ASSERT_EQ(ParseProxyHeader(header + "GET /", &info, &consumed), ProxyStatus::kComplete);
  EXPECT_EQ(consumed, header.size());
  EXPECT_TRUE(info.has_addresses);
  EXPECT_EQ(info.source, "192.0.2.1");
  EXPECT_EQ(info.destination, "192.0.2.2");
  EXPECT_EQ(info.source_port, 1234);
  EXPECT_EQ(info.destination_port, 80);
  ASSERT_EQ(ParseProxyHeader("PROXY TCP6 2001:db8::1 ::1 1 2\r\n", &info, &consumed),
            ProxyStatus::kComplete);
  EXPECT_EQ(info.source, "2001:db8::1");
  ASSERT_EQ(ParseProxyHeader("PROXY UNKNOWN 1 2 3\r\n", &info, &consumed), ProxyStatus::kComplete);
  EXPECT_FALSE(info.has_addresses);
}

TEST(ProxyProtocol, RefusesBrokenV1) {
  for (const char* bad :
       {"GET / HTTP/1.0\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1234\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n", "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY TCP5 1 2 3 4\r\n",
        "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n", "PROXY TCP4 host 192.0.2.2 1 2\r\n", "PROXY\r\n",
        "PROXY TCP4 192.0.2.1\r192.0.2.2 1 2\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n"}) {
    ExpectWhatever(bad, ProxyStatus::kError);
  }
  ExpectWhatever("PROXY " + std::string(200, 'x'), ProxyStatus::kError);
}

TEST(ProxyProtocol, ReadsV2) {
  ProxyInfo info;
  size_t consumed = 0;
  const std::string header = V2('\x21', '\x11', kV4Body);
  ASSERT_EQ(ParseProxyHeader(header + "x", &info, &consumed), ProxyStatus::kComplete);
  EXPECT_EQ(consumed, header.size());
  EXPECT_EQ(info.source, "192.0.2.1");
  EXPECT_EQ(info.destination, "192.0.2.2");
  EXPECT_EQ(info.source_port, 1234);
  EXPECT_EQ(info.destination_port, 80);

  const std::string v6 =
      std::string(15, '\0') + '\1' + std::string(15, '\0') + '\2' + "\x00\x01\x00\x02"s;
  ASSERT_EQ(ParseProxyHeader(V2('\x21', '\x21', v6), &info, &consumed), ProxyStatus::kComplete);
  EXPECT_EQ(info.source, "::1");
  EXPECT_EQ(info.destination, "::2");
}

TEST(ProxyProtocol, KeepsTheConnectionsAddressesWhenV2HasNone) {
  for (const std::string& header :
       {V2('\x20', '\x00', ""), V2('\x20', '\x11', kV4Body), V2('\x21', '\x12', kV4Body),
        V2('\x21', '\x31', std::string(216, 'x')), V2('\x21', '\x00', "")}) {
    ProxyInfo info;
    size_t consumed = 0;
    EXPECT_EQ(ParseProxyHeader(header, &info, &consumed), ProxyStatus::kComplete);
    EXPECT_EQ(consumed, header.size());
    EXPECT_FALSE(info.has_addresses);
  }
}

TEST(ProxyProtocol, RefusesBrokenV2) {
  ExpectWhatever(V2('\x11', '\x11', kV4Body), ProxyStatus::kError);
  ExpectWhatever(V2('\x22', '\x11', kV4Body), ProxyStatus::kError);
  ExpectWhatever(V2('\x21', '\x11', "short"), ProxyStatus::kError);
  ExpectWhatever(V2('\x21', '\x21', kV4Body), ProxyStatus::kError);
}

TEST(ProxyProtocol, EverySplitIsIncomplete) {
  for (const std::string& header :
       {"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n"s, V2('\x21', '\x11', kV4Body)}) {
    for (size_t n = 0; n < header.size(); ++n) {
      ProxyInfo info;
      size_t consumed = 0;
      EXPECT_EQ(ParseProxyHeader(header.substr(0, n), &info, &consumed), ProxyStatus::kIncomplete)
          << n;
    }
  }
}

TEST(ProxyProtocol, FindsTlvs) {
  const std::string ssl = "\x01\x00\x00\x00\x07"s + Tlv('\x21', "TLSv1.3") + Tlv('\x22', "limpet");
  ProxyInfo info;
  info.tlvs = Tlv('\x02', "example.com") + Tlv('\x20', ssl) + Tlv('\xEA', "vpc");
  EXPECT_EQ(FindTlv(info, "authority"), "example.com");
  EXPECT_EQ(FindTlv(info, "0x02"), "example.com");
  EXPECT_EQ(FindTlv(info, "0xea"), "vpc");
  EXPECT_EQ(FindTlv(info, "ssl_version"), "TLSv1.3");
  EXPECT_EQ(FindTlv(info, "ssl_cn"), "limpet");
  EXPECT_EQ(FindTlv(info, "ssl_0x22"), "limpet");
  EXPECT_EQ(FindTlv(info, "ssl_verify"), "7");
  EXPECT_EQ(FindTlv(info, "alpn"), std::nullopt);
  EXPECT_EQ(FindTlv(info, "ssl_cipher"), std::nullopt);
  EXPECT_TRUE(IsTlvName("ssl_key_alg"));
  EXPECT_FALSE(IsTlvName("nonsense"));
  info.tlvs = "\x02\x00\xFFshort"s;
  EXPECT_EQ(FindTlv(info, "authority"), std::nullopt);
}

}  // namespace
}  // namespace limpet::proto
