"""Ports of the loopback, claimed: until this program ends, no other program that claims its ports has them."""

import random
import socket

ANY = range(20_000, 32_000)
"""Where a port without a wish is: below those that Linux gives to outgoing connections (32768 and up)."""
_claims: dict[int, socket.socket] = {}


def claim(wanted: int) -> int:
    """``wanted``, or the next port above it that nobody listens on and no other program has claimed."""
    port = wanted
    while port in _claims or not _claimed(port):
        port += 1
    return port


def claim_any() -> int:
    """A port without a wish, far from another checkout's."""
    return claim(random.choice(ANY))  # noqa: S311


def is_free(port: int) -> bool:
    """Tell whether nobody listens on a port of the loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _claimed(port: int) -> bool:
    """Claim a port whatever user we are: a name in the kernel, held as long as this program lives, and no file.

    The name is of the same network namespace as the port.
    """
    claimed = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claimed.bind(f"\0preau-port-{port}")
    except OSError:
        claimed.close()
        return False
    if not is_free(port):
        claimed.close()
        return False
    _claims[port] = claimed
    return True
