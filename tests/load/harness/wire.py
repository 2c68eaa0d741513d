"""An HTTP client that costs next to nothing, so that the cores are the programs' that are measured."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class Asked(NamedTuple):
    """A request made before it is sent: where it goes, and its bytes."""

    port: int
    request: bytes

    @classmethod
    def of(cls, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> "Asked":
        """To a program of this machine."""
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        lines = [f"{method} {path} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return cls(parts.port or 80, "\r\n".join([*lines, "", ""]).encode() + body)

    @classmethod
    def of_json(cls, method: str, url: str, headers: Mapping[str, str], body: object) -> "Asked":
        return cls.of(method, url, {"Content-Type": "application/json", **headers}, json.dumps(body).encode())


Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Wires:
    """Connections that are kept, as a proxy or a browser keeps them; with ``kept=False`` one for each request."""

    def __init__(self, *, kept: bool = True) -> None:
        self._kept = kept
        self._idle: dict[int, list[Line]] = defaultdict(list)

    async def ask(self, asked: Asked) -> tuple[int, bytes]:
        """The status and the body of the answer."""
        idle = self._idle[asked.port]
        line = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", asked.port)
        reader, writer = line
        writer.write(asked.request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
        body = await reader.readexactly(int(length or 0))
        if self._kept and b"connection: close" not in head:
            idle.append(line)
        else:
            writer.close()
        return int(head.split(None, 2)[1]), body

    async def ask_json(self, asked: Asked) -> tuple[int, Any]:
        status, body = await self.ask(asked)
        return status, json.loads(body)

    def close(self) -> None:
        for lines in self._idle.values():
            for _, writer in lines:
                writer.close()
