"""A certificate authority of a test's own, made with openssl."""
import os
import subprocess

# For a configuration: {tls} is a port, {certs} a folder_with "on.test".
TLS_SERVER = """
    server {
        listen {tls} ssl;
        server_name on.test;
        ssl_certificate {certs}/on.test.crt;
        ssl_certificate_key {certs}/on.test.key;
    }
"""


class Authority:
    """Certificates NAME.crt and NAME.key in `folder`, signed by ca.crt."""

    def __init__(self, folder, name="ca"):
        self.folder = folder
        self.name = name
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3",
                      "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt")

    def path(self, file):
        return os.path.join(self.folder, file)

    @property
    def certificate(self):
        return self.path(f"{self.name}.crt")

    def issue(self, name, extension="subjectAltName=DNS:{name}"):
        """Makes NAME.crt and NAME.key, with the name as subject and as DNS name; returns both paths."""
        with open(self.path(f"{name}.ext"), "w") as extensions:
            extensions.write(extension.format(name=name) + "\n")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                      "-keyout", f"{name}.key", "-out", f"{name}.csr")
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{self.name}.crt", "-CAkey", f"{self.name}.key",
                      "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.crt")
        return self.path(f"{name}.crt"), self.path(f"{name}.key")

    def delegate(self, name):
        """An authority that this one vouches for."""
        self.issue(name, "basicConstraints=CA:TRUE")
        made = object.__new__(Authority)
        made.folder, made.name = self.folder, name
        return made

    def revoke(self, *names):
        """Makes revoked.pem, the list of those that are no good any more, and of no others; returns its path."""
        with open(self.path("list.cnf"), "w") as config:
            config.write("[ca]\ndefault_ca = list\n[list]\ndatabase = index.txt\ndefault_md = sha256\ndefault_crl_days = 2\n")
        open(self.path("index.txt"), "w").close()
        arguments = ["ca", "-config", "list.cnf", "-cert", f"{self.name}.crt", "-keyfile", f"{self.name}.key"]
        for name in names:
            self._openssl(*arguments, "-revoke", f"{name}.crt")
        self._openssl(*arguments, "-gencrl", "-out", "list.pem")
        os.replace(self.path("list.pem"), self.path("revoked.pem"))
        return self.path("revoked.pem")

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True, timeout=60)


def folder_with(tmp_path_factory, name):
    """A folder that workers may enter, with a certificate of that name and its key."""
    folder = tmp_path_factory.mktemp("certs")
    os.chmod(folder, 0o755)
    Authority(folder).issue(name)
    return folder
