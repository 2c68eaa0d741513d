"""Where a request comes from, as a key to count by: everything that is limited by address is limited by this."""

import ipaddress

IPV6_PREFIX_BITS = 64
"""A subscriber is given a /64 at least (RFC 6177), so that one may send each request from another address."""


def client_network(address: str) -> str:
    """The network that ``address`` stands for: an IPv4 address itself, the /64 of an IPv6 one.

    IPv4 written as IPv6 (``::ffff:192.0.2.1``) counts as IPv4, and a port behind the address is left out. What is no
    address counts as it is written.
    """
    text = address.strip().lower()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(found), IPV6_PREFIX_BITS), strict=False))
