"""Whoever is slow holds a connection and nothing else, and what is no request is answered in short."""

import asyncio
import resource
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import structlog
from aiohttp import web
from structlog.testing import LogCapture

from chassis import connections, request_bodies
from chassis.broker import use_broker
from chassis.client_networks import client_network
from chassis.concurrency import separate_limit
from chassis.connections import Connections, Site, raise_file_limit
from chassis.http import application, json_response, read_body
from chassis.metrics import use_metrics
from chassis.request_bodies import body_limit
from chassis.settings import EdgeSettings
from contracts.model import Contract
from local_stack.ports import claim_any

HEAD = "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"


class Wish(Contract):
    name: str


Start = Callable[..., Awaitable["Server"]]


class Server:
    """A program as it serves, and raw connections to it from whatever loopback address."""

    def __init__(self, address: tuple[str, int], table: Connections) -> None:
        self.address, self.table = address, table
        self.writers: list[asyncio.StreamWriter] = []

    async def send(self, data: bytes, source: str = "127.0.0.1") -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection(*self.address, local_addr=(source, 0))
        self.writers.append(writer)
        writer.write(data)
        await writer.drain()
        return reader

    async def ask(self, data: bytes, source: str = "127.0.0.1") -> tuple[int, str]:
        """The status and all of the answer."""
        reader = await self.send(data, source)
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        return int(head.split()[1]), head + (await reader.read(2_000)).decode()

    async def get(self, path: str, source: str = "127.0.0.1") -> int:
        return (await self.ask(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode(), source))[0]

    async def post(self, path: str, body: bytes = b'{"name":"a"}') -> int:
        head = HEAD.format(path=path, length=len(body)).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
        return (await self.ask(head.encode() + body))[0]

    async def close(self) -> None:
        for each in self.writers:
            each.close()


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    running: list[tuple[Server, web.AppRunner, asyncio.Task[None]]] = []

    async def begin(*, most: int = 5_000, by_address: bool = True, **more: Any) -> Server:
        settings = EdgeSettings(amqp_url="amqp://unused", auth_url="http://unused", http_port=0, **more)
        app = application("test", settings, network_of=lambda request: client_network(request.remote or ""))
        app.router.add_post("/echo", _echo)
        app.router.add_post("/file", body_limit(2_000_000)(_length))
        app.router.add_post("/form", _form)
        app.router.add_get("/page", _page)
        app.router.add_post("/own", separate_limit("own")(_echo))
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        listening, table = (
            socket.create_server(("127.0.0.1", 0), backlog=4_096),
            Connections(most, by_address=by_address),
        )
        await Site(runner, listening, table, backlog=4_096).start()
        server = Server(listening.getsockname()[:2], table)
        running.append((server, runner, asyncio.create_task(table.sweep())))
        return server

    yield begin
    for server, runner, sweeping in running:
        await server.close()
        sweeping.cancel()
        await runner.cleanup()


async def _echo(request: web.Request) -> web.Response:
    return json_response(await read_body(request, Wish))


async def _length(request: web.Request) -> web.Response:
    return web.json_response(len(await request.clone(client_max_size=2_000_000).read()))


async def _form(request: web.Request) -> web.Response:
    form = await request.post()
    sent = form["file"]
    assert isinstance(sent, web.FileField)
    return web.json_response([len(sent.file.read()), form["name"]])


async def _page(_request: web.Request) -> web.Response:
    return web.Response(text="x" * 100)


async def test_bodies_that_do_not_come_take_no_place_of_a_request(start: Start) -> None:
    server = await start(concurrent_requests_max=4)
    for path in ("/echo", "/own"):
        for _ in range(50):
            await server.send(HEAD.format(path=path, length=100).encode() + b"{")
    assert [await server.get("/page"), await server.get("/health/live")] == [200, 200]
    assert [await server.post("/echo"), await server.post("/own")] == [200, 200]


async def test_a_body_must_come_fast_enough_and_a_slow_one_is_told_so(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_bodies, "GRACE_SECONDS", 0.3)
    monkeypatch.setattr(request_bodies, "LOOK_SECONDS", 0.05)
    server = await start()
    status, answer = await server.ask(HEAD.format(path="/echo", length=100).encode() + b"{")
    assert (status, "body_too_slow" in answer, "connection: close" in answer.lower()) == (408, True, True)
    monkeypatch.setattr(
        request_bodies, "GRACE_SECONDS", -1
    )  # from here on only what has come counts: 1 s is 4,096 bytes
    reader = await server.send(HEAD.format(path="/echo", length=40_000).encode() + b'{"name":"' + b"a" * 39_000)
    await asyncio.sleep(0.3)
    server.writers[-1].write(b"a" * 989 + b'"}')
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")


async def test_of_many_bodies_of_one_address_the_oldest_gives_way(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_bodies, "BODIES_OF_ADDRESS_MAX", 3)
    monkeypatch.setattr(request_bodies, "GIVES_WAY_AFTER_SECONDS", 0)
    server = await start()
    unfinished = HEAD.format(path="/echo", length=12).encode() + b"{"
    other = await server.send(unfinished, "127.0.0.2")
    readers = [await server.send(unfinished) for _ in range(4)]
    assert b" 408 " in await readers[0].readuntil(b"\r\n\r\n")
    for writer in (server.writers[0], server.writers[-1]):
        writer.write(b'"name":"a"}')
    for reader in (other, readers[-1]):
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")


async def test_what_is_under_way_is_bounded_in_bytes(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_bodies, "BYTES_MAX", 3_000_000)
    server = await start()
    await server.send(HEAD.format(path="/file", length=1_900_000).encode() + b"{")
    status, answer = await server.ask(HEAD.format(path="/file", length=1_900_000).encode() + b"{")
    assert (status, "retry-after" in answer.lower()) == (503, True)
    assert await server.post("/file", b"x" * 900_000) == 200
    assert await server.post("/file", b"x" * 2_000_001) == 413
    assert await server.post("/echo", b"x" * 1_100_000) == 413


async def test_a_file_of_a_form_is_read_as_if_it_were_only_coming(start: Start) -> None:
    server, edge = await start(), b"--b\r\nContent-Disposition: form-data; name="
    body = edge + b'"file"; filename="a"\r\n\r\n' + b"x" * 300_000 + b"\r\n" + edge + b'"name"\r\n\r\n' + b"Zo\xc3\xa9"
    body += b"\r\n--b--\r\n"
    head = HEAD.format(path="/form", length=len(body)).replace("application/json", "multipart/form-data; boundary=b")
    for _ in range(2):  # the connection goes on after it
        reader = await server.send(head.encode() + body + b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        assert (await reader.readexactly(19)).decode() == '[300000, "Zo\\u00e9"]'[:19]
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")


async def test_of_many_unfinished_heads_of_one_address_the_oldest_gives_way(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "UNFINISHED_OF_ADDRESS_MAX", 5)
    monkeypatch.setattr(connections, "GIVES_WAY_AFTER_SECONDS", 0)
    server = await start()
    others = await server.send(b"GET /page HT", "127.0.0.2")
    first, *_rest = [await server.send(b"GET /page HT") for _ in range(20)]
    assert await first.read() == b""
    assert [await server.get("/page"), await server.get("/page", "127.0.0.3")] == [200, 200]
    server.writers[0].write(b"TP/1.1\r\nHost: x\r\n\r\n")
    assert b" 200 " in await others.readuntil(b"\r\n\r\n")


async def test_behind_a_proxy_all_come_from_one_address_and_none_gives_way(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "UNFINISHED_OF_ADDRESS_MAX", 5)
    monkeypatch.setattr(connections, "GIVES_WAY_AFTER_SECONDS", 0)
    server = await start(by_address=False)
    readers = [await server.send(b"GET /page HT") for _ in range(20)]
    for writer, reader in zip(server.writers, readers, strict=True):
        writer.write(b"TP/1.1\r\nHost: x\r\n\r\n")
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")


async def test_a_head_and_a_reader_that_are_too_slow_are_closed(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS_MAX", 0.2)
    monkeypatch.setattr(connections, "SWEEP_SECONDS", 0.05)
    server = await start()
    silent = await server.send(b"")
    second = await server.send(b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b" 200 " in await second.readuntil(b"\r\n\r\n")
    await second.readexactly(100)
    server.writers[-1].write(b"GET /pa")  # a further request on the same connection
    assert [await silent.read(), await second.read()] == [b"", b""]


async def test_when_there_are_too_many_connections_the_least_needed_goes(start: Start) -> None:
    server = await start(most=20)
    for number in range(60):
        await server.send(b"GET /page HT", f"127.0.0.{number % 3 + 1}")
        if number % 10 == 9:
            assert await server.get("/page", "127.0.0.9") == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /?a=\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /page HTTP/1.1\r\nHost: x\r\nX-A: \xff\xfe\r\n\r\n",
        b"GET /page HTTP/1.1\r\nHost: x\r\nCookie: a=\xe9\r\n\r\n",
        b"GET /page HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        b"GET /page HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 20_000 + b"\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: minus one\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
        b"Content-Length: 5\r\n\r\nhello",
    ],
)
async def test_what_is_no_request_is_answered_in_short_without_a_traceback(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    logged = LogCapture()
    for module in ("chassis.connections.log", "chassis.http.log"):
        monkeypatch.setattr(module, structlog.wrap_logger(None, [logged], structlog.BoundLogger))
    status, answer = await (await start()).ask(sent)
    assert status == 400
    assert "python" not in answer.lower()
    assert "aiohttp" not in answer.lower()
    assert "server: preau" in answer.lower()
    assert not [each for each in logged.entries if each["log_level"] not in {"info", "debug"}]
    assert not [each for each in caplog.records if each.exc_info or each.levelname == "ERROR"]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),  # TLS spoken to a port without it
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n", 400),
        (b"GET /metrics HTTP/9.9\r\n\r\n", 400),
        (b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: minus one\r\n\r\n", 400),
        (b"POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 405),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400),
        (b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200),
    ],
)
async def test_the_port_of_the_figures_answers_what_is_no_request_as_quietly(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, sent: bytes, status: int
) -> None:
    logged = LogCapture()
    monkeypatch.setattr("chassis.connections.log", structlog.wrap_logger(None, [logged], structlog.BoundLogger))
    port = claim_any()
    settings = EdgeSettings(amqp_url="amqp://127.0.0.1:9", auth_url="http://unused", http_port=0, metrics_port=port)
    app = application("test", settings)
    use_broker(app, settings)
    use_metrics(app, settings, (), ())
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    server = Server(("127.0.0.1", port), Connections(1, by_address=False))
    try:
        answered, answer = await server.ask(sent)
    finally:
        await server.close()
        await runner.cleanup()
    assert answered == status
    assert "python" not in answer.partition("\r\n\r\n")[0].lower()
    assert "aiohttp" not in answer.lower()
    assert "server: preau" in answer.lower()
    assert not [each for each in logged.entries if each["log_level"] not in {"info", "debug"}]
    assert not [each for each in caplog.records if each.exc_info or each.levelname == "ERROR"]


def test_a_process_may_open_as_many_files_as_its_connections_need() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(1_024, before[1]), before[1]))
        fits = raise_file_limit(1_500)
        assert fits == min(1_500, max(before[1] - connections.FILES_ASIDE, before[1] // 2))
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= fits
        assert raise_file_limit(100) == 100
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:5678", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:aaaa:bbbb:cccc:dddd", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::1", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::1]:5678", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("", ""),
        ("unknown", "unknown"),
        ("1.2.3.4.5", "1.2.3.4.5"),
    ],
)
def test_an_address_counts_as_its_network(address: str, network: str) -> None:
    assert client_network(address) == network
