"""Clients that are known by their certificates."""
import pytest

from browser_client import BrowserClient
from counting_app import CountingApp, visit
from recipe import Recipe
from site_files import TlsSite
from staying import check_that_sessions_stay


@pytest.fixture
def servers():
    def by_subject(request):
        return request.header("x-client-subject")

    with CountingApp("a", key=by_subject) as a, CountingApp("b", key=by_subject) as b:
        yield a, b


def device(limpet, site, name):
    """A client with a certificate that has just been issued."""
    return BrowserClient(limpet.port, "https", site.context(client=site.authority.issue(name)))


def test_devices_stay_and_so_they_do_when_their_certificates_are_renewed(servers):
    site = TlsSite()
    with Recipe("mtls", *servers, files=site) as limpet:
        names = [f"device{i}" for i in range(6)]
        homes = check_that_sessions_stay(limpet, [device(limpet, site, name) for name in names], visit)
        assert [visit(device(limpet, site, name))[0] for name in names] == homes
        assert limpet.sessions("device_sessions") == len(names)


def test_by_fingerprint_a_renewed_certificate_is_another_session(servers):
    def by_fingerprint(config):
        return config.replace("=$ssl_client_s_dn", "=$ssl_client_fingerprint")

    site = TlsSite()
    with Recipe("mtls", *servers, change=by_fingerprint, files=site) as limpet:
        check_that_sessions_stay(limpet, [device(limpet, site, f"device{i}") for i in range(4)], visit)
        visit(device(limpet, site, "device0"))
        assert limpet.sessions("device_sessions") == 5


def test_a_client_without_a_certificate_is_refused(servers):
    site = TlsSite()
    with Recipe("mtls", *servers, files=site) as limpet:
        assert BrowserClient(limpet.port, "https", site.context()).get().status == 400
