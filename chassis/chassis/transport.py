"""Whether the connection to a server is private: the same machine, one composition's network, or verified TLS."""

import ipaddress
from urllib.parse import parse_qs, urlsplit


def is_near(host: str) -> bool:
    """Whether a host is this machine or a name known only inside one composition's network: one without a dot.

    docker-compose.yml names its servers ``postgresql`` and ``rabbitmq``; the chart's are services of the release's
    namespace. A server on another machine has a full name or an address.
    """
    if not host or host.startswith("/"):
        return True  # a socket
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return "." not in host


def checked_database_url(url: str) -> str:
    """The URL of a database; ``ValueError`` when the traffic could be read or changed on its way."""
    parts, query = urlsplit(url), parse_qs(urlsplit(url).query)
    several = parts.netloc.rpartition("@")[2].split(",")
    hosts = query.get("host", [urlsplit(f"//{each}").hostname or "" for each in several])
    if not all(is_near(host) for host in hosts) and query.get("sslmode") != ["verify-full"]:
        raise ValueError(
            "PostgreSQL is on another machine: the URL ends with ?sslmode=verify-full&sslrootcert=FILE, "
            "the certificate authority that signed the server's"
        )
    return url


def checked_broker_url(url: str) -> str:
    """The URL of the broker; ``ValueError`` as for a database."""
    parts = urlsplit(url)
    is_verified = parts.scheme == "amqps" and "no_verify_ssl" not in parse_qs(parts.query)
    if not is_near(parts.hostname or "") and not is_verified:
        raise ValueError(
            "RabbitMQ is on another machine: the URL begins with amqps:// and ends with ?cafile=FILE, "
            "the certificate authority that signed the server's, unless that is a public one"
        )
    return url
