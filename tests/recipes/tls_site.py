"""The files that recipes with TLS name: the site's certificate, and the authority of its clients'."""
import os
import ssl

from certificates import Authority


class TlsSite:
    """Call it with the folder of the configuration: it makes the files in tls/ there."""

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
