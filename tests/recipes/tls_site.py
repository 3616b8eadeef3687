"""The files that recipes with TLS name: tls/site.crt and tls/site.key, and a CA for clients."""
import os
import ssl

from certificates import Authority


class TlsSite:
    """Call it with the folder of the configuration: it makes the files there."""

    def __call__(self, folder):
        os.mkdir(os.path.join(folder, "tls"))
        self.authority = Authority(os.path.join(folder, "tls"))
        self.authority.issue("site")
        os.rename(self.authority.certificate, self.authority.path("clients.crt"))
        os.rename(self.authority.path("ca.key"), self.authority.path("clients.key"))
        self.authority.name = "clients"

    def context(self, client=None):
        """Of a client that believes the site; `client`: its own certificate and key."""
        context = ssl.create_default_context(cafile=self.authority.certificate)
        context.check_hostname = False  # it is asked for by address
        if client:
            context.load_cert_chain(*client)
        return context
