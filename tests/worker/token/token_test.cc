// Which tokens are believed. Keys are made here; every attack begins as a token that is good.
#include <cjose/cjose.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "worker/token/token_reader.h"

namespace limpet::worker {
namespace {

using Figures = shm::TokenFigures;
constexpr int64_t kNow = 1'800'000'000;
constexpr std::string_view kSecret = "a secret of thirty-two bytes, abc";

std::string Encode(std::string_view bytes) {
  char* text = nullptr;
  size_t size = 0;
  cjose_base64url_encode(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), &text, &size,
                         nullptr);
  std::string encoded(text, size);
  cjose_get_dealloc()(text);
  return encoded;
}

// A key pair, or a secret.
class Maker {
 public:
  explicit Maker(cjose_jwk_t* key, const std::string& id = "") : key_(key) {
    if (!id.empty()) cjose_jwk_set_kid(key, id.data(), id.size(), nullptr);
  }
  // Its half in a JWKS; `more`: further members, {"use":"enc"}.
  std::string Public(const std::string& more = "") const {
    const bool secret = cjose_jwk_get_kty(key_.get(), nullptr) == CJOSE_JWK_KTY_OCT;
    char* text = cjose_jwk_to_json(key_.get(), secret, nullptr);
    std::string json(text);
    std::free(text);
    if (!more.empty()) json.insert(json.size() - 1, "," + more);
    return json;
  }
  std::string Sign(const std::string& algorithm, const std::string& claims,
                   const std::string& id = "") const {
    cjose_header_t* header = cjose_header_new(nullptr);
    cjose_header_set(header, CJOSE_HDR_ALG, algorithm.c_str(), nullptr);
    if (!id.empty()) cjose_header_set(header, CJOSE_HDR_KID, id.c_str(), nullptr);
    cjose_jws_t* jws =
        cjose_jws_sign(key_.get(), header, reinterpret_cast<const uint8_t*>(claims.data()),
                       claims.size(), nullptr);
    const char* text = nullptr;
    const bool made = jws != nullptr && cjose_jws_export(jws, &text, nullptr);
    std::string token = made ? text : "unsigned";
    cjose_jws_release(jws);
    cjose_header_release(header);
    return token;
  }
  const cjose_jwk_t* key() const { return key_.get(); }

 private:
  JwkPtr key_;
};

cjose_jwk_t* MakeRsa(size_t bits = 2048) {
  constexpr uint8_t kExponent[] = {1, 0, 1};
  return cjose_jwk_create_RSA_random(bits, kExponent, sizeof kExponent, nullptr);
}
cjose_jwk_t* MakeSecret(std::string_view bytes) {
  return cjose_jwk_create_oct_spec(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(),
                                   nullptr);
}
const Maker& Rsa() {
  static const Maker maker(MakeRsa(), "rsa");
  return maker;
}
const Maker& Ec() {
  static const Maker maker(cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_256, nullptr), "ec");
  return maker;
}
const Maker& Secret() {
  static const Maker maker(MakeSecret(kSecret));
  return maker;
}

TokenKeys Keys(const std::string& bytes) {
  auto keys = TokenKeys::Parse("/k", bytes);
  if (!keys) {
    ADD_FAILURE() << keys.error().message;
    std::abort();
  }
  return std::move(*keys);
}
std::string Set(const std::vector<std::string>& keys) {
  return fmt::format("{{\"keys\":[{}]}}", fmt::join(keys, ","));
}
std::string KeysError(const std::string& bytes) {
  const auto keys = TokenKeys::Parse("/k", bytes);
  return keys ? "loaded" : keys.error().message;
}
const TokenKeys& Both() {
  static const TokenKeys keys = Keys(Set({Rsa().Public(), Ec().Public()}));
  return keys;
}

// "alice", or why not.
std::string Judge(const std::string& token, const TokenKeys& keys) {
  const TokenVerdict verdict = VerifyToken(token, keys, kNow);
  if (!verdict.claims) return Figures::kRefusalNames[verdict.refusal];
  return verdict.claims->Find({"sub"}).value_or("nobody");
}

const std::string kAlice = R"({"sub":"alice","exp":1800000100})";

TEST(Token, BelievesWhatItsKeysHaveSigned) {
  for (const char* algorithm : {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
    EXPECT_EQ(Judge(Rsa().Sign(algorithm, kAlice), Both()), "alice") << algorithm;
  EXPECT_EQ(Judge(Ec().Sign("ES256", kAlice, "ec"), Both()), "alice");
  EXPECT_EQ(Judge(Rsa().Sign("RS256", kAlice, "rsa"), Both()), "alice");
  const std::pair<cjose_jwk_ec_curve, const char*> curves[] = {{CJOSE_JWK_EC_P_384, "ES384"},
                                                               {CJOSE_JWK_EC_P_521, "ES512"}};
  for (const auto& [curve, algorithm] : curves) {
    const Maker maker(cjose_jwk_create_EC_random(curve, nullptr));
    EXPECT_EQ(Judge(maker.Sign(algorithm, kAlice), Keys(Set({maker.Public()}))), "alice");
  }
  EXPECT_EQ(Judge(Secret().Sign("HS256", kAlice), Keys(std::string(kSecret))), "alice");
  const std::string long_secret(64, 's');
  const Maker maker(MakeSecret(long_secret));
  for (const char* algorithm : {"HS256", "HS384", "HS512"})
    EXPECT_EQ(Judge(maker.Sign(algorithm, kAlice), Keys(long_secret)), "alice") << algorithm;
}

// RFC 7515 A.1, a token that others have made.
TEST(Token, ReadsTheExampleOfTheStandard) {
  const std::string key =
      R"({"keys":[{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}]})";
  const std::string token =
      "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQog"
      "Imh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
  EXPECT_TRUE(VerifyToken(token, Keys(key), 1'300'819'379).claims);
  EXPECT_EQ(VerifyToken(token, Keys(key), 1'300'819'380).refusal, Figures::kExpired);
  EXPECT_EQ(DecodeToken(token)->Find({"http://example", "com/is_root"}), "true");
}

TEST(Token, RefusesForgeries) {
  const std::string good = Rsa().Sign("RS256", kAlice, "rsa");
  const size_t first = good.find('.'), second = good.rfind('.');
  const std::string header = good.substr(0, first),
                    claims = good.substr(first + 1, second - first - 1),
                    signature = good.substr(second + 1);
  const std::string mallory = Encode(R"({"sub":"mallory","exp":1800000100})");
  const auto with_header = [&](const std::string& json) {
    return Encode(json) + "." + claims + "." + signature;
  };
  // The public key as a secret, in the forms that libraries have taken it in.
  const Maker confused(MakeSecret(Rsa().Public()));
  std::string flipped = good;
  flipped[second + 5] = flipped[second + 5] == 'A' ? 'B' : 'A';
  const std::vector<std::pair<std::string, std::string>> attacks = {
      {"", "malformed"},
      {"x", "malformed"},
      {"..", "malformed"},
      {header + "." + claims, "malformed"},
      {good + ".x", "malformed"},
      {header + "." + claims + ".", "signature"},
      {header + "." + mallory + "." + signature, "signature"},
      {flipped, "signature"},
      {good + "=", "malformed"},
      {good + " ", "malformed"},
      {with_header(R"({"alg":"none"})"), "algorithm"},
      {Encode(R"({"alg":"none"})") + "." + mallory + ".", "algorithm"},
      {with_header(R"({"alg":"None"})"), "algorithm"},
      {with_header(R"({"alg":""})"), "algorithm"},
      {with_header(R"({"alg":["RS256"]})"), "algorithm"},
      {with_header(R"({"typ":"JWT"})"), "algorithm"},
      {with_header(R"({"alg":"RSA1_5"})"), "algorithm"},
      {with_header(R"({"alg":"RS256","crit":["exp"],"exp":1})"), "algorithm"},
      {with_header(R"({"alg":"RS256","alg":"none"})"), "malformed"},
      {with_header(R"(["RS256"])"), "malformed"},
      {with_header(R"({"alg":"RS256"}x)"), "malformed"},
      {confused.Sign("HS256", kAlice), "key"},
      {confused.Sign("HS256", kAlice, "rsa"), "key"},
      {with_header(R"({"alg":"HS256","kid":"rsa"})"), "key"},
      {with_header(R"({"alg":"RS256","kid":"ec"})"), "key"},
      {with_header(R"({"alg":"ES256","kid":"rsa"})"), "key"},
      {with_header(R"({"alg":"ES512","kid":"ec"})"), "key"},
      {with_header(R"({"alg":"RS256","kid":"../../dev/null"})"), "key"},
      {with_header(R"({"alg":"RS512","kid":"rsa"})"), "signature"},
      {with_header(R"({"alg":"PS256","kid":"rsa"})"), "signature"},
      {with_header(R"({"alg":"RS256","jwk":{"kty":"oct","k":"AAAA"}})"), "signature"},
      {Encode(R"({"alg":"ES256"})") + "." + mallory + "." + Encode(std::string(64, '\0')),
       "signature"},
      {Encode(R"({"alg":"ES256"})") + "." + mallory + "." + Encode(std::string(8, 'x')),
       "signature"},
      {std::string(kLongestToken, 'a') + "." + claims + "." + signature, "malformed"},
      {Rsa().Sign("RS256", "no json"), "malformed"},
      {Rsa().Sign("RS256", "[1]"), "malformed"},
      {Rsa().Sign("RS256", R"({"sub":"a","sub":"b"})"), "malformed"},
      {Rsa().Sign("RS256", std::string(8000, '[')), "malformed"},
  };
  EXPECT_EQ(Judge(good, Both()), "alice");
  for (const auto& [token, why] : attacks) EXPECT_EQ(Judge(token, Both()), why) << token;
  // Another pair's token that names our key.
  const Maker other(MakeRsa());
  EXPECT_EQ(Judge(other.Sign("RS256", kAlice, "rsa"), Both()), "signature");
}

TEST(Token, RefusesAnHmacOfAnotherLength) {
  for (const size_t size : {1, 31, 33, 64}) {
    const std::string token =
        Encode(R"({"alg":"HS256"})") + "." + Encode(kAlice) + "." + Encode(std::string(size, 'x'));
    EXPECT_EQ(Judge(token, Keys(std::string(kSecret))), "signature") << size;
  }
}

TEST(Token, KnowsItsTime) {
  const auto judge = [](const std::string& claims) {
    return Judge(Secret().Sign("HS256", claims), Keys(std::string(kSecret)));
  };
  EXPECT_EQ(judge(R"({"sub":"a"})"), "a");
  EXPECT_EQ(judge(R"({"sub":"a","exp":1800000001,"nbf":1800000000})"), "a");
  EXPECT_EQ(judge(R"({"sub":"a","exp":1800000000.5})"), "a");
  EXPECT_EQ(judge(R"({"sub":"a","exp":1800000000})"), "expired");
  EXPECT_EQ(judge(R"({"sub":"a","exp":0})"), "expired");
  EXPECT_EQ(judge(R"({"sub":"a","exp":-1})"), "expired");
  EXPECT_EQ(judge(R"({"sub":"a","nbf":1800000001})"), "not_yet");
  EXPECT_EQ(judge(R"({"sub":"a","exp":"1900000000"})"), "malformed");
  EXPECT_EQ(judge(R"({"sub":"a","exp":null})"), "malformed");
  EXPECT_EQ(judge(R"({"sub":"a","nbf":[]})"), "malformed");
}

TEST(Token, TakesAKeyOnlyForWhatItIsFor) {
  const std::string rs = Rsa().Sign("RS256", kAlice), ps = Rsa().Sign("PS256", kAlice);
  const TokenKeys only_ps = Keys(Set({Rsa().Public(R"("alg":"PS256")")}));
  EXPECT_EQ(Judge(ps, only_ps), "alice");
  EXPECT_EQ(Judge(rs, only_ps), "key");
  EXPECT_EQ(Judge(rs, Keys(Set({Rsa().Public(R"("use":"enc")"), Ec().Public()}))), "key");
  EXPECT_EQ(Judge(rs, Keys(Set({Rsa().Public(R"("key_ops":["sign"])"), Ec().Public()}))), "key");
  EXPECT_EQ(Judge(rs, Keys(Set({Rsa().Public(R"("key_ops":["sign","verify"])")}))), "alice");
  // A secret is as long as its digest.
  EXPECT_EQ(Judge(Secret().Sign("HS512", kAlice), Keys(std::string(kSecret))), "key");
  // A key without an id is for tokens whose id nobody has.
  EXPECT_EQ(Judge(Secret().Sign("HS256", kAlice, "2024"), Keys(std::string(kSecret))), "alice");
}

TEST(Token, SaysWhatIsWrongWithKeys) {
  using testing::HasSubstr;
  EXPECT_EQ(KeysError(std::string(kSecret)), "loaded");
  EXPECT_THAT(KeysError("short"),
              HasSubstr("\"/k\" holds no keys for tokens: a secret has 32 bytes"));
  EXPECT_THAT(KeysError(""), HasSubstr("32 bytes"));
  EXPECT_THAT(KeysError("-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEF\n-----END"),
              HasSubstr("PEM file"));
  EXPECT_THAT(KeysError("{\"keys\": ["), HasSubstr("begins as a JWKS"));
  EXPECT_THAT(KeysError(Rsa().Public()), HasSubstr("begins as a JWKS"));
  EXPECT_THAT(KeysError(Set({})), HasSubstr("no key of its JWKS"));
  EXPECT_THAT(KeysError(Set({R"({"kty":"OKP","crv":"Ed25519","x":"AAAA"})"})), HasSubstr("no key"));
  EXPECT_THAT(KeysError(Set({R"({"kty":"RSA","n":"AQAB","e":"AQAB"})"})), HasSubstr("place 0 has"));
  EXPECT_THAT(KeysError(Set({Ec().Public(), R"({"kty":"EC","crv":"P-256","x":"AA","y":"AA"})"})),
              HasSubstr("place 1 is damaged"));
  EXPECT_THAT(KeysError(Set({R"({"kty":"oct","k":"c2hvcnQ"})"})), HasSubstr("place 0 has 40 bits"));
  EXPECT_THAT(KeysError(Set({"1", "null", "[]"})), HasSubstr("no key of its JWKS"));
}

TEST(Claims, AreFoundByPath) {
  const auto claims = Claims::Parse(
      R"({"sub":"a","n":7,"big":9007199254740993,"f":1.5,"yes":true,"no":false,"nil":null,"o":{"p":{"q":"deep"}},)"
      R"("list":["x","y"],"https://e.com/role":"admin","a.b":"whole","a":{"b":"nested"},"u":"\u00e9"})");
  ASSERT_TRUE(claims);
  const auto find = [&](const std::vector<std::string>& path) {
    return claims->Find(path).value_or("(nothing)");
  };
  EXPECT_EQ(find({"sub"}), "a");
  EXPECT_EQ(find({"n"}), "7");
  EXPECT_EQ(find({"big"}), "9007199254740993");
  EXPECT_EQ(find({"f"}), "1.5");
  EXPECT_EQ(find({"yes"}), "true");
  EXPECT_EQ(find({"no"}), "false");
  EXPECT_EQ(find({"nil"}), "(nothing)");
  EXPECT_EQ(find({"o"}), "(nothing)");
  EXPECT_EQ(find({"o", "p", "q"}), "deep");
  EXPECT_EQ(find({"list", "1"}), "y");
  EXPECT_EQ(find({"list", "2"}), "(nothing)");
  EXPECT_EQ(find({"list", "x"}), "(nothing)");
  EXPECT_EQ(find({"sub", "x"}), "(nothing)");
  EXPECT_EQ(find({"https://e", "com/role"}), "admin");
  EXPECT_EQ(find({"a", "b"}), "whole");
  EXPECT_EQ(find({"u"}), "é");
  EXPECT_FALSE(Claims::Parse(R"({"a":"\u0000"})")) << "no text ends early";
}

class Reader : public testing::Test {
 protected:
  Reader() {
    conf_.keys.push_back({.path = "/k", .bytes = std::string(kSecret)});
    conf_.claims.push_back({.name = "sub", .token = {}, .path = {"sub"}, .keys = 0});
    conf_.claims.push_back({.name = "mail", .token = {}, .path = {"mail"}, .keys = 0});
    conf_.claims.push_back({.name = "said", .token = {}, .path = {"sub"}});
    store_ = *TokenStore::Load(conf_, nullptr);
    reader_ = std::make_unique<TokenReader>(conf_, *store_);
  }
  std::string Ask(size_t claim, const std::string& token, int64_t now = kNow) {
    return reader_->Find(claim, token, now).value.value_or("-");
  }
  Figures& figures() { return store_->figures(); }

  conf::Tokens conf_;
  std::shared_ptr<const TokenStore> store_;
  std::unique_ptr<TokenReader> reader_;
};

TEST_F(Reader, RemembersForAMomentWhatItHasVerified) {
  const std::string token = Secret().Sign("HS256", R"({"sub":"a","mail":"m","exp":1800000100})");
  EXPECT_EQ(Ask(0, token), "a");
  EXPECT_EQ(Ask(1, token), "m");
  EXPECT_EQ(Ask(0, "Bearer " + token), "a");
  EXPECT_EQ(Ask(0, "bearer  " + token), "a");
  EXPECT_EQ(figures().verified.load(), 1u);
  EXPECT_EQ(figures().remembered.load(), 3u);
  EXPECT_EQ(Ask(0, token, kNow + TokenReader::kRememberedS), "a");
  EXPECT_EQ(figures().verified.load(), 2u);
}

TEST_F(Reader, ForgetsATokenThatExpires) {
  const std::string token = Secret().Sign("HS256", R"({"sub":"a","exp":1800000003})");
  EXPECT_EQ(Ask(0, token), "a");
  EXPECT_EQ(Ask(0, token, kNow + 2), "a");
  EXPECT_EQ(Ask(0, token, kNow + 3), "-");
  EXPECT_EQ(figures().refused[Figures::kExpired].load(), 1u);
}

TEST_F(Reader, RemembersABoundedNumberAndNoneThatIsWrong) {
  for (int i = 0; i < 5000; ++i) {
    const std::string token = Secret().Sign("HS256", fmt::format(R"({{"sub":"{}"}})", i));
    EXPECT_EQ(Ask(0, token), std::to_string(i));
    Ask(0, token + "x");
  }
  EXPECT_LE(reader_->remembered(), TokenReader::kMostRemembered);
  EXPECT_EQ(figures().refused[Figures::kSignature].load(), 5000u);
}

TEST_F(Reader, OnlyDecodesWithoutKeys) {
  const std::string forged = Encode(R"({"alg":"none"})") + "." + Encode(R"({"sub":"me"})") + ".";
  EXPECT_EQ(Ask(2, forged), "me");
  EXPECT_EQ(Ask(0, forged), "-");
  EXPECT_EQ(Ask(2, "nonsense"), "-");
  EXPECT_EQ(reader_->Find(0, "", kNow).why, "there is none");
  EXPECT_EQ(reader_->Find(2, Encode("{}") + "." + Encode("{}") + ".", kNow).why,
            "it lacks the claim");
}

TEST_F(Reader, CountsOnOverAReload) {
  Ask(0, "x");
  const auto next = *TokenStore::Load(conf_, store_.get());
  EXPECT_EQ(next->figures().refused[Figures::kMalformed].load(), 1u);
  EXPECT_EQ(*TokenStore::Load({}, store_.get()), nullptr);
}

}  // namespace
}  // namespace limpet::worker
