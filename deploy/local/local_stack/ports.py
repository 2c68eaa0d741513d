"""Ports of this machine that are free, on the loopback only."""

import socket


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def any_free() -> int:
    """A port that the system chose and nobody holds."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def next_free(wanted: int, taken: set[int]) -> int:
    """``wanted``, or the next port above it that is free and not in ``taken``, to which it is added."""
    port = wanted
    while port in taken or not is_free(port):
        port += 1
    taken.add(port)
    return port
