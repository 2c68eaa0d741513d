"""The network of a client: the key of every limit per address."""

import ipaddress

IPV6_PREFIX_BITS = 64
"""A subscriber has at least a /64 (RFC 6177) and can send each request from another address of it."""


def client_network(address: str) -> str:
    """The network of ``address``: an IPv4 address itself, the /64 of an IPv6 address.

    IPv4 mapped into IPv6 (``::ffff:192.0.2.1``) counts as IPv4; a port is ignored. Anything else counts as written.
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
