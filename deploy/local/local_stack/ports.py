"""Ports of this machine that are free, on the loopback only."""

import asyncio
import contextlib
import fcntl
import os
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path


@contextlib.asynccontextmanager
async def choosing_ports() -> AsyncIterator[None]:
    """Let one portal at a time choose its ports and listen on them: one chosen is not yet one held."""
    with (Path(tempfile.gettempdir()) / f"preau-ports-{os.geteuid()}").open("w") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        yield


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
