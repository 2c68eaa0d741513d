"""Whether a notification comes from where its bank announced to be."""

from ipaddress import ip_network

import pytest

from payment_gateway.banks import is_elsewhere

ANNOUNCED = (ip_network("192.0.2.0/24"), ip_network("203.0.113.7"), ip_network("2001:db8::/32"))


@pytest.mark.parametrize("source", ["192.0.2.255", "203.0.113.7", "2001:db8::1", "::ffff:192.0.2.1"])
def test_announced(source: str) -> None:
    assert not is_elsewhere(source, ANNOUNCED)


@pytest.mark.parametrize("source", ["192.0.3.0", "203.0.113.8", "2001:db9::1", "", "unknown", "::ffff:192.0.3.1"])
def test_elsewhere(source: str) -> None:
    assert is_elsewhere(source, ANNOUNCED)
    assert not is_elsewhere(source, ())
