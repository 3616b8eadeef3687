"""The files that recipes name, made in the folder of the configuration."""
import base64
import os
import ssl

import mmdb
from certificates import Authority

COUNTRIES = {"192.0.2.0/24": "FR", "198.51.100.0/24": "US"}  # networks of documentation


class TlsSite:
    """tls/: the site's certificate, and the authority of its clients'. Call it with the folder."""

    def __call__(self, folder):
        os.mkdir(os.path.join(folder, "tls"))
        self.authority = Authority(os.path.join(folder, "tls"), "clients")
        self.authority.issue("site")

    def context(self, client=None):
        """Of a client that believes the site; `client`: its own certificate and key."""
        context = ssl.create_default_context(cafile=self.authority.certificate)
        context.check_hostname = False  # it is asked for by address
        if client:
            context.load_cert_chain(*client)
        return context


def cookie_key(folder):
    """keys/cookie.key."""
    os.mkdir(os.path.join(folder, "keys"))
    path = os.path.join(folder, "keys", "cookie.key")
    with open(path, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(base64.b64encode(os.urandom(32)).decode() + "\n")


def countries(folder):
    """geo/country.mmdb."""
    os.mkdir(os.path.join(folder, "geo"))
    mmdb.write(os.path.join(folder, "geo", "country.mmdb"), {network: mmdb.country(code) for network, code in COUNTRIES.items()})


def make_all(folder):
    for make in (TlsSite(), cookie_key, countries):
        make(folder)
