"""Ports of the loopback, claimed: until this program ends, no other program that claims its ports has them."""

import fcntl
import functools
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import BinaryIO

ANY = range(20_000, 32_000)
"""Where a port without a wish is: below those that Linux gives to outgoing connections (32768 and up)."""
_ours: set[int] = set()


def claim(wanted: int) -> int:
    """``wanted``, or the next port above it that nobody listens on and no other program has claimed."""
    port = wanted
    while port in _ours or not _locked(port) or not _is_free(port):
        port += 1
    _ours.add(port)
    return port


def claim_any() -> int:
    """A port without a wish, far from another checkout's."""
    return claim(random.choice(ANY))  # noqa: S311


@functools.cache
def _register() -> BinaryIO:
    """One file for all programs of this user, in which the byte at a port's number is locked by who claimed it."""
    return (Path(tempfile.gettempdir()) / f"preau-ports-{os.geteuid()}").open("ab")


def _locked(port: int) -> bool:
    try:
        fcntl.lockf(_register(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
