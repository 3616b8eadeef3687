"""JSON Web Tokens and their keys, made with python3-jwt and python3-cryptography."""
import base64
import json

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SECRET = "a secret of the tests, long enough for SHA-512: 0123456789abcdef0123456789"


def encode(data):
    return base64.urlsafe_b64encode(data if isinstance(data, bytes) else json.dumps(data).encode()).rstrip(b"=").decode()


def _number(value, size=None):
    return encode(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


class Key:
    """A key pair that signs tokens; `jwk` is its public half."""

    CURVES = {"ES256": (ec.SECP256R1, "P-256", 32), "ES384": (ec.SECP384R1, "P-384", 48), "ES512": (ec.SECP521R1, "P-521", 66)}

    def __init__(self, algorithm, kid):
        self.algorithm, self.kid = algorithm, kid
        if algorithm in self.CURVES:
            curve, name, size = self.CURVES[algorithm]
            self.private = ec.generate_private_key(curve())
            numbers = self.private.public_key().public_numbers()
            self.jwk = {"kty": "EC", "crv": name, "x": _number(numbers.x, size), "y": _number(numbers.y, size)}
        else:
            self.private = rsa.generate_private_key(65537, 2048)
            numbers = self.private.public_key().public_numbers()
            self.jwk = {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
        self.jwk.update(kid=kid, use="sig")

    def sign(self, algorithm=None, headers=(), **claims):
        return jwt.encode(claims, self.private, algorithm or self.algorithm, {"kid": self.kid, **dict(headers)})

    def public_pem(self):
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def jwks(*keys):
    return json.dumps({"keys": [key.jwk for key in keys]})


def sign_secret(secret=SECRET, algorithm="HS256", **claims):
    return jwt.encode(claims, secret, algorithm)
