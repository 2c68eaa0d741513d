"""How fast people get in: ``python -m tests.load.auth`` (``make bench``).

A real auth on a private PostgreSQL and RabbitMQ, with the parameters of production. Beside each figure stands a bare
floor: the same machine doing only the part that cannot be left out. Nothing here passes or fails.
"""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chassis.identity import verify
from chassis.testing import Tokens
from contracts.identity import Identity, Role
from local_stack.stack import Stack
from tests.load.harness.figures import note, say, say_spans
from tests.load.harness.measuring import hashes_a_second, rate

SECONDS = 5.0
SIGN_INS_AT_ONCE = 50
HOUSEHOLDS = 10_000
HEADER = (
    "Foyer;Nom du foyer;Adresse;Code postal;Commune;Responsable 1 nom;Responsable 1 prénom;Responsable 1 email;"
    "Responsable 2 nom;Responsable 2 prénom;N° enfant;Nom enfant;Prénom enfant;Naissance;École;Classe;Garde"
)
STAFF = {"identifier": "bench", "secret": "un-bon-secret-de-mesure"}


async def tokens() -> None:
    """Signing and verifying, beside the bare signature."""
    issuer, key = Tokens(), Ed25519PrivateKey.generate()
    person = Identity(subject_id=uuid4(), session_id=uuid4(), name="A B", roles=frozenset({Role.PARENT}))
    message, signature = b"x" * 400, key.sign(b"x" * 400)
    public = key.public_key()
    floor = rate(lambda: key.sign(message))
    issued = rate(lambda: issuer.token(person, audience="a"))
    say("tokens issued, one core (floor: the bare signature)", issued, "/s", floor=floor)
    token, known = issuer.token(person, audience="a", seconds=600), jwt.PyJWK(issuer.jwks()["keys"][0])

    class Known:
        async def key(self, _key_id: str) -> jwt.PyJWK:
            return known

    count, until = 0, time.perf_counter() + 2
    while time.perf_counter() < until:
        await verify(token, Known(), audience="a")
        count += 1
    floor = rate(lambda: public.verify(signature, message))
    say("tokens verified, one core (floor: the bare signature)", count / 2, "/s", floor=floor)


@contextlib.asynccontextmanager
async def hello() -> AsyncIterator[str]:
    """A server that does nothing, for the floor of an HTTP answer."""

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({})

    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


async def repeat(ask: Callable[[], Awaitable[int]], until: float, times: list[float], wanted: int) -> None:
    while time.perf_counter() < until:
        start = time.perf_counter()
        status = await ask()
        times.append(time.perf_counter() - start)
        assert status == wanted, f"answered {status} instead of {wanted}"


async def administrator(http: aiohttp.ClientSession, url: str) -> dict[str, str]:
    """What an administrator sends along."""
    async with http.post(f"{url}/sessions", json={**STAFF, "client_address": "10.9.9.9"}) as response:
        payload = {"session": (await response.json())["session"], "audience": "auth"}
    async with http.post(f"{url}/tokens", json=payload) as response:
        return Tokens.headers((await response.json())["token"])


async def under_load(http: aiohttp.ClientSession, url: str) -> None:
    """Session checks alone, then beside fifty people who sign in without a pause."""

    async def post(address: str, body: dict[str, Any]) -> int:
        async with http.post(address, json=body) as response:
            await response.read()
            return response.status

    for number in range(SIGN_INS_AT_ONCE):
        payload = {"first_name": "A", "last_name": "B", "identifier": f"bench{number}", "secret": STAFF["secret"]}
        household = {"reference": f"B{number}", "name": "B", "address": ["1 rue B"], "guardians": [payload]}
        async with http.post(f"{url}/households", json=household, headers=await administrator(http, url)) as response:
            assert response.status == 201, await response.text()

    def sign_in(number: int, secret: str = STAFF["secret"], identifier: str = STAFF["identifier"]) -> dict[str, Any]:
        return {"identifier": identifier, "secret": secret, "client_address": f"10.0.{number // 250}.{number % 250}"}

    async with http.post(f"{url}/sessions", json=sign_in(0)) as response:
        session = (await response.json())["session"]
    check = {"session": session, "audience": "planning"}

    async def measure(sign_ins: int) -> tuple[list[float], list[float]]:
        checks, entered, until = list[float](), list[float](), time.perf_counter() + SECONDS
        people = [
            repeat(lambda n=n: post(f"{url}/sessions", sign_in(n, identifier=f"bench{n}")), until, entered, 201)
            for n in range(sign_ins)
        ]
        checking = [repeat(lambda: post(f"{url}/tokens", check), until, checks, 200) for _ in range(2)]
        await asyncio.gather(*people, *checking)
        return checks, entered

    async with hello() as floor_url:
        floor = list[float]()
        await repeat(lambda: post(floor_url, check), time.perf_counter() + 2, floor, 200)
    checks, _ = await measure(0)
    say_spans("a bare answer", floor)
    say_spans("session check, nobody signs in", checks)
    checks, entered = await measure(SIGN_INS_AT_ONCE)
    alone = hashes_a_second()
    name = f"sign-ins, {SIGN_INS_AT_ONCE} at once"
    say(f"{name} (floor: argon2id on one core)", len(entered) / SECONDS, "/s", floor=alone)
    say_spans(name, entered)
    say_spans("session check meanwhile", checks, p99_at_most=25)
    times: dict[str, list[float]] = {"known": [], "unknown": []}
    for number in range(4):  # by turns, as a machine is not as fast each second
        for who, identifier in (("known", STAFF["identifier"]), ("unknown", "nobody-at-all")):
            start = time.perf_counter()
            status = await post(f"{url}/sessions", sign_in(300 + number, "wrong", identifier))
            times[who].append(time.perf_counter() - start)
            assert status == 401
    for who, spans in times.items():
        say(f"wrong codes, {who} identifier, median", median(spans) * 1000, "ms")


def families(count: int) -> str:
    """A file of invented households, two children in most."""
    lines = [HEADER]
    for number in range(count):
        home = f"H{number};Famille Exemple {number};{number} rue des Tilleuls;00000;Saint-Aubin;Exemple;Camille;"
        home += f"h{number}@example.org;Exemple;Sacha;"
        lines += [
            f"{home}E{number}-{child};Exemple;Enfant{child};0{1 + child}/03/2018;École;CE1;libre"
            for child in range(1 + number % 3 % 2 + number % 2)
        ]
    return "\n".join(lines)


async def registry(stack: Stack) -> None:
    """A town's whole file, by command: read, applied, and read again once the other services have heard it all.

    While they write what they hear, they take both cores: a reading in the midst of it measures them.
    """
    file = stack.folder / "families.csv"
    await asyncio.to_thread(file.write_text, families(HOUSEHOLDS), encoding="utf-8")
    for what, words in (("read (dry run)", ()), ("read and applied", ("--apply",)), ("read again, nothing new", ())):
        start = time.perf_counter()
        await stack.command("auth", "import", str(file), *words)
        say(f"{HOUSEHOLDS:,} households {what}", time.perf_counter() - start, "s", at_most=20 if words else None)
        if words:
            await heard_by_all(stack)
            say("… and heard by every service, since the command began", time.perf_counter() - start, "s")


async def heard_by_all(stack: Stack) -> None:
    """Wait until planning, billing and the notifier know as many households as auth does."""
    opened = {
        name: await asyncpg.connect(stack.databases[name]) for name in ("auth", "planning", "billing", "notifier")
    }
    try:
        while len({await each.fetchval("SELECT count(*) FROM household") for each in opened.values()}) > 1:
            await asyncio.sleep(1)
    finally:
        for each in opened.values():
            await each.close()


async def main() -> None:
    note("auth")
    await tokens()
    stack = Stack(Path(tempfile.mkdtemp(prefix="preau-bench-")), durable=True)
    try:
        await stack.start()
        words = ("--identifier", STAFF["identifier"], "--name", "Mesure", "--role", "administrator")
        await stack.command("auth", "create-staff", *words, STAFF_SECRET=STAFF["secret"])
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as http:
            await under_load(http, stack.url("auth"))
        await registry(stack)
    finally:
        await stack.stop()
        stack.forget()


if __name__ == "__main__":
    asyncio.run(main())
