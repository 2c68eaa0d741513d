"""Many families at once, for whatever wants a crowd: plainly fictional, each of a household of its own."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import date, timedelta
from typing import Any, TypeVar
from uuid import UUID

import aiohttp
import asyncpg

from chassis.testing import eventually
from local_stack import demo
from local_stack.stack import Stack

AT_ONCE = 8
KNOWN_SECONDS = 900
TOKEN_SECONDS = 30
Each = TypeVar("Each")


async def each_of(all_of_them: Iterable[Each], do: Callable[[Each], Awaitable[Any]]) -> None:
    """For every one, a few at a time."""
    waiting = iter(all_of_them)

    async def work() -> None:
        for each in waiting:
            await do(each)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


async def sql(stack: Stack, service: str, query: str, *arguments: Any) -> list[Any]:
    """The rows of a statement on a service's database."""
    connection = await asyncpg.connect(stack.databases[service])
    try:
        return list(await connection.fetch(query, *arguments))
    finally:
        await connection.close()


async def until_none(stack: Stack, service: str, query: str, *arguments: Any) -> None:
    """Until that counts nothing."""

    async def is_none() -> bool:
        return not (await sql(stack, service, query, *arguments))[0]["count"]

    await eventually(is_none, seconds=KNOWN_SECONDS)


class Administrator:
    """The demo town's, at the services' own doors; a token is used for half of its life."""

    def __init__(self, stack: Stack, http: aiohttp.ClientSession) -> None:
        self._auth_url, self._http, self._session = stack.url("auth"), http, ""
        self._kept: dict[str, tuple[float, str]] = {}
        self._signing_in = asyncio.Lock()  # sign-ins of one account at the same moment count as guesses

    async def headers(self, service: str) -> dict[str, str]:
        """What a call to that service carries."""
        async with self._signing_in:
            until, token = self._kept.get(service, (0.0, ""))
            if time.monotonic() > until:
                token = await self._token(service)
                self._kept[service] = (time.monotonic() + TOKEN_SECONDS, token)
        return {"Authorization": f"Bearer {token}"}

    async def _token(self, service: str) -> str:
        if not self._session:
            codes = {"identifier": demo.STAFF[0][0], "secret": demo.SECRET, "client_address": "127.0.0.1"}
            async with self._http.post(f"{self._auth_url}/sessions", json=codes) as response:
                self._session = (await response.json())["session"]
        payload = {"session": self._session, "audience": service}
        async with self._http.post(f"{self._auth_url}/tokens", json=payload) as response:
            return str((await response.json())["token"])


async def settle(stack: Stack, http: aiohttp.ClientSession, wishes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The households of these wishes as auth's own door answers them, in the same order.

    Their children are enrolled in every activity, their quotient is known, planning and billing have heard of them.
    """
    auth, administrator = stack.url("auth"), Administrator(stack, http)
    made: dict[int, dict[str, Any]] = {}

    async def write_down(numbered: tuple[int, dict[str, Any]]) -> None:
        number, payload = numbered
        headers = await administrator.headers("auth")
        async with http.post(f"{auth}/households", json=payload, headers=headers) as response:
            assert response.status == 201, await response.text()
            made[number] = (await response.json())["household"]

    await each_of(enumerate(wishes), write_down)
    households = [made[number] for number in range(len(wishes))]
    today = date.today()  # noqa: DTZ011 - a machine of one's own
    children = [UUID(child["child_id"]) for each in households for child in each["children"]]
    unknown = "SELECT cardinality($1::uuid[]) - count(*) AS count FROM household_child WHERE child_id = ANY($1)"
    await until_none(stack, "planning", unknown, children)
    query = (
        "INSERT INTO enrolment SELECT household_id, child_id, activity_id, $1, $2 FROM household_child, activity "
        "ON CONFLICT DO NOTHING"
    )
    await sql(stack, "planning", query, today - timedelta(days=200), today + timedelta(days=300))
    ids = [UUID(each["household_id"]) for each in households]
    unknown = "SELECT cardinality($1::uuid[]) - count(*) AS count FROM household WHERE household_id = ANY($1)"
    await until_none(stack, "billing", unknown, ids)
    query = (
        "INSERT INTO household_terms (household_id, valid_from, quotient_cents, resident, recorded_by, recorded_at) "
        "SELECT household_id, $1, 60000, true, household_id, now() FROM household"
    )
    await sql(stack, "billing", query, date(today.year - 1, 9, 1))
    return households
