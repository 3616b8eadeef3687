"""jwt_claim: a user is followed over devices by what a token says, and no token is believed that its key has not signed."""
import hashlib
import hmac
import json
import os
import re
import signal
import time

import pytest

import tokens
from binaries import Binaries
from client import get
from daemon import Limpet
from waiting import wait_until

CONFIG = """
worker_processes 2;
events { }
http {
    jwt_claim $jwt_sub $http_authorization sub key_file=keys.json;
    jwt_claim $jwt_role $http_authorization realm_access.roles.0 key_file=keys.json;
    jwt_claim $jwt_must $http_authorization sub key_file=keys.json required;
    jwt_claim $jwt_secret $arg_token sub key_file=secret;
    jwt_claim $jwt_said $cookie_token sub;
    map $jwt_must $greeting { default "hello $jwt_must"; }
    log_format tokens "$uri [$jwt_must]";
    upstream learned { SERVERS sticky learn create=$jwt_sub lookup=$jwt_sub zone=users:1m; }
    upstream strict { SERVERS sticky learn create=$jwt_must lookup=$jwt_must zone=strict:1m; }
    upstream hashed { SERVERS hash $jwt_sub; }
    upstream routed { server 127.0.0.1:{a} route=a; server 127.0.0.1:{b} route=b; sticky route $jwt_must; }
    server {
        listen {port};
        access_log {dir}/access.log tokens;
        location / { return 200 "$jwt_sub|$jwt_role|$jwt_secret|$jwt_said"; }
        location /learned { proxy_pass http://learned; }
        location /strict { proxy_pass http://strict; }
        location /hashed { proxy_pass http://hashed; }
        location /routed { proxy_pass http://routed; }
        location /map { return 200 $greeting; }
        location /set { set $user $jwt_must; return 200 "user $user"; }
        location /header { proxy_set_header X-User $jwt_must; proxy_pass http://127.0.0.1:{a}; }
        location /late { add_header X-User $jwt_must; proxy_pass http://127.0.0.1:{a}; }
        location /page { error_page 401 = @login; set $user $jwt_must; return 200 $user; }
        location @login { return 200 "log in"; }
        location /free { return 200 free; }
        location /metrics { access_log off; prometheus; }
        location /status/ { access_log off; api /status/; }
    }
}
""".replace("SERVERS", "server 127.0.0.1:{a}; server 127.0.0.1:{b};")

RSA, EC = tokens.Key("RS256", "rsa"), tokens.Key("ES256", "ec")
OTHERS = [tokens.Key("ES384", "ec384"), tokens.Key("ES512", "ec512")]


@pytest.fixture
def limpet(origins):
    a, b = origins("a", "b")
    daemon = Limpet(CONFIG, start=False, a=a.port, b=b.port)
    for name, text in (("keys.json", tokens.jwks(RSA, EC, *OTHERS)), ("secret", tokens.SECRET + "\n")):
        put(daemon, name, text)
    with daemon:
        daemon.start()
        yield daemon


def put(limpet, name, text, mode=0o600):
    with open(limpet.path(name), "w") as file:
        file.write(text)
    os.chmod(limpet.path(name), mode)


def ask(limpet, token, path="/", **more):
    return get(limpet.port, path, [("Authorization", f"Bearer {token}")] if token else [], **more)


def soon():
    return int(time.time()) + 600


def metric(limpet, name):
    page = get(limpet.port, "/metrics").text
    return int(re.search(rf"^limpet_jwt_{re.escape(name)} (\d+)$", page, re.M)[1])


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
def test_rsa(limpet, algorithm):
    token = RSA.sign(algorithm, sub="alice", exp=soon(), realm_access={"roles": ["admin", "user"]})
    assert ask(limpet, token).text == "alice|admin||"


@pytest.mark.parametrize("key", [EC, *OTHERS], ids=lambda key: key.algorithm)
def test_curves(limpet, key):
    assert ask(limpet, key.sign(sub="bob", nbf=int(time.time()) - 5)).text == "bob|||"


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_secrets(limpet, algorithm):
    assert get(limpet.port, "/?token=" + tokens.sign_secret(algorithm=algorithm, sub="carol")).text == "||carol|"


def test_without_a_key_anybody_says_it(limpet):
    forged = f"{tokens.encode({'alg': 'none'})}.{tokens.encode({'sub': 'mallory'})}."
    assert get(limpet.port, cookies={"token": forged}).text == "|||mallory"
    assert ask(limpet, forged).text == "|||"


def hs_with(secret, header, claims):
    signed = f"{tokens.encode(header)}.{tokens.encode(claims)}"
    return f"{signed}.{tokens.encode(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def attacks():
    claims = {"sub": "alice", "exp": soon()}
    good = RSA.sign(**claims)
    header, body, signature = good.split(".")
    mallory = tokens.encode({"sub": "mallory", "exp": soon()})
    pem = RSA.public_pem()
    return {
        "no signature": f"{header}.{body}.", "other claims": f"{header}.{mallory}.{signature}",
        "alg none": f"{tokens.encode({'alg': 'none'})}.{body}.", "alg nOnE": f"{tokens.encode({'alg': 'nOnE'})}.{body}.{signature}",
        "key confusion": hs_with(pem, {"alg": "HS256", "kid": "rsa"}, claims),
        "key confusion without an end of line": hs_with(pem.strip(), {"alg": "HS256"}, claims),
        "key confusion with the modulus": hs_with(RSA.jwk["n"].encode(), {"alg": "HS256"}, claims),
        "the secret of another file": tokens.sign_secret(**claims),
        "kid of another kind": RSA.sign(headers={"kid": "ec"}, **claims),
        "a key of its own": tokens.Key("RS256", "rsa").sign(**claims),
        "a key in the header": tokens.Key("RS256", "x").sign(headers={"jwk": RSA.jwk, "jku": "http://127.0.0.1/"}, **claims),
        "crit": RSA.sign(headers={"crit": ["exp"]}, **claims),
        "expired": RSA.sign(sub="alice", exp=int(time.time()) - 1), "not yet": RSA.sign(sub="alice", nbf=soon()),
        "five parts": good + ".a.b", "rubbish": "a.b.c",
        "zeros": f"{tokens.encode({'alg': 'ES256', 'kid': 'ec'})}.{mallory}.{tokens.encode(bytes(64))}",
    }


def test_attacks(limpet):
    for name, token in attacks().items():
        assert ask(limpet, token).text == "|||", name
        assert ask(limpet, token, "/set").status == 401, name


def test_a_user_is_followed_over_devices(limpet):
    """Cookies and addresses differ; only the token says who it is."""
    homes = {}
    for user in (f"user{i}" for i in range(12)):
        phone, laptop = RSA.sign(sub=user, exp=soon(), device=1), EC.sign(sub=user, exp=soon(), device=2)
        answers = {ask(limpet, token, "/learned", cookies={"device": token[-5:]}).text for token in (phone, laptop) * 3}
        assert len(answers) == 1, user
        homes[user] = answers.pop()
    assert set(homes.values()) == {"a", "b"}
    limpet.reload()
    with Binaries(limpet, workers=2) as both:
        both.upgrade()
        both.rest()
        for user, home in homes.items():
            assert ask(limpet, RSA.sign(sub=user, exp=soon()), "/learned").text == home


def test_hash_and_route_by_a_claim(limpet):
    for user in ("one", "two", "three"):
        assert len({ask(limpet, key.sign(sub=user), "/hashed").text for key in (RSA, EC) * 3}) == 1
    assert {ask(limpet, RSA.sign(sub="b"), "/routed").text for _ in range(4)} == {"b"}


@pytest.mark.parametrize("path", ["/strict", "/routed", "/map", "/set", "/header", "/late"])
def test_a_required_token(limpet, path):
    assert ask(limpet, RSA.sign(sub="a", exp=soon()), path).status == 200
    for token in ("", "nonsense", RSA.sign(sub="a", exp=1), RSA.sign(other="a")):
        refused = ask(limpet, token, path)
        assert (refused.status, refused.header("WWW-Authenticate")) == (401, "Bearer"), token
    assert get(limpet.port, "/free").status == 200


def test_an_error_page_may_answer_instead(limpet):
    assert ask(limpet, "", "/page").text == "log in"
    assert ask(limpet, RSA.sign(sub="a"), "/page").text == "a"


def test_a_log_line_refuses_nobody(limpet):
    assert get(limpet.port, "/free").text == "free"
    ask(limpet, RSA.sign(sub="alice"), "/free")

    def said():
        with open(limpet.path("access.log")) as log:
            return sorted(re.findall(r"/free \[.*\]", log.read()))
    wait_until(lambda: said() == ["/free [-]", "/free [alice]"], "both lines")


def test_what_is_counted_and_remembered(limpet):
    limpet.reload(CONFIG.replace("worker_processes 2", "worker_processes 1").replace("access_log {dir}/access.log tokens;", ""))
    token = RSA.sign(sub="alice", exp=soon())
    for _ in range(5):
        ask(limpet, token)
    assert (metric(limpet, "verified_total"), metric(limpet, "remembered_total")) == (1, 9), "two variables of each request"
    get(limpet.port, "/free")
    assert metric(limpet, "verified_total") == 1
    ask(limpet, RSA.sign(sub="alice", exp=1))
    assert metric(limpet, 'refused_total{reason="expired"}') == 2
    judged = json.loads(get(limpet.port, "/status/jwt").text)
    assert (judged["verified"], judged["remembered"], judged["refused"]["expired"]) == (1, 9, 2)
    limpet.reload()
    assert metric(limpet, "verified_total") == 1


def test_new_keys_at_a_reload(limpet):
    new = tokens.Key("RS256", "rsa")
    assert ask(limpet, RSA.sign(sub="a")).text == "a|||"
    put(limpet, "keys.json", tokens.jwks(new))
    assert ask(limpet, new.sign(sub="a")).text == "|||"
    limpet.reload()
    assert ask(limpet, new.sign(sub="a")).text == "a|||"
    assert ask(limpet, RSA.sign(sub="a")).text == "|||"
    put(limpet, "keys.json", "{}")
    refused = len(limpet.log_lines("emerg"))
    limpet.kill(signal.SIGHUP)
    (line,) = wait_until(lambda: limpet.log_lines("emerg")[refused:], "the reload to be refused")
    assert "keys.json" in line and "limpet.conf:5" in line
    assert ask(limpet, new.sign(sub="a")).text == "a|||"


def test_explain_takes_the_claim_by_its_name(limpet):
    asked = get(limpet.port, "/status/explain?upstream=routed&jwt_must=b").text
    assert json.loads(asked)["server"].endswith(str(limpet.values["b"]))


BAD = [
    ("jwt_claim $a $http_x;", "invalid number of arguments"),
    ("jwt_claim a $http_x sub;", 'invalid variable name "a"'),
    ("jwt_claim $a text sub;", 'invalid parameter "text": a token is in a variable'),
    ("jwt_claim $a $http_x a..b;", 'invalid parameter "a..b": a claim is'),
    ("jwt_claim $a $http_x sub wanted;", 'invalid parameter "wanted"'),
    ("jwt_claim $a $http_x sub key_file=;", "has an empty file name"),
    ("jwt_claim $a $http_x sub key_file=none;", r'open\(\) "\S+/none" failed \(2: No such file'),
    ("jwt_claim $a $http_x sub key_file=short;", "a secret has 32 bytes at least"),
    ("jwt_claim $a $http_x sub key_file=pem;", "it is a PEM file; write its public key as a JWKS"),
    ("jwt_claim $a $http_x sub key_file=empty.json;", "no key of its JWKS verifies"),
    ("jwt_claim $host $http_x sub;", 'the duplicate "host" variable'),
]


def test_what_is_wrong_is_said():
    with Limpet("", start=False) as limpet:
        put(limpet, "short", "short")
        put(limpet, "pem", RSA.public_pem().decode())
        put(limpet, "empty.json", '{"keys": []}')
        put(limpet, "open", tokens.SECRET, 0o644)
        for text, wanted in BAD:
            limpet.write("events { } http {\n" + text + "\nserver { listen {port}; } }")
            done = limpet.run("-t")
            assert done.returncode == 1 and re.search(wanted, done.stderr) and "limpet.conf:2" in done.stderr, (text, done.stderr)
            assert "short" not in done.stderr.replace("/short", "").replace("=short", "") and "MII" not in done.stderr
        limpet.write("events { } http {\njwt_claim $a $http_x sub key_file=open;\nserver { listen {port}; } }")
        assert re.search(r"everybody may read \S+ which holds a secret in \S+limpet.conf:2", limpet.run("-t").stderr)
