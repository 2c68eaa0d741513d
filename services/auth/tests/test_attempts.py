"""Whoever guesses is slowed down before anything is verified, on every replica, and nobody else is."""

import asyncio
from typing import Any

import pyotp
import pytest

from auth.app import build
from auth.domain.attempts import OF_ACCOUNT, OF_ADDRESS
from auth.jobs import forget

RIGHT, WRONG = "un-bon-secret", "not this one"
STRANGER = "a stranger's computer"


async def later(town: Any, minutes: float) -> None:
    """Let time pass for what was counted."""
    await town.sql(
        "UPDATE attempt_limit SET counted_at = counted_at - make_interval(secs => $1::double precision), "
        "locked_until = locked_until - make_interval(secs => $1::double precision)",
        minutes * 60,
    )


async def verified(town: Any, fact: str) -> int:
    return int(await town.sql("SELECT count(*) FROM security_fact WHERE fact = $1", fact))


async def test_of_200_guesses_at_once_on_two_replicas_none_passes_beyond_the_limit(
    town: Any, aiohttp_client: Any, record_property: Any
) -> None:
    await town.has_household()
    replicas = [town.client, await aiohttp_client(build(town.settings))]

    async def guess(number: int) -> tuple[int, str]:
        secret = RIGHT if number == 150 else f"guess number {number}"
        body = {"identifier": "camille.d", "secret": secret, "client_address": f"192.0.2.{number}", "user_agent": ""}
        response = await replicas[number % 2].post("/sessions", json=body)
        return response.status, (await response.json(content_type=None)).get("code", "")

    answers = await asyncio.gather(*(guess(number) for number in range(200)))
    admitted = [each for each in answers if each != (429, "sign_in_locked")]
    record_property("looked at", f"200 guesses at once on two replicas: {len(admitted)} verified")
    assert len(admitted) == OF_ACCOUNT.attempts
    assert set(admitted) <= {(401, "wrong_codes"), (201, "")}
    assert await verified(town, "wrong codes") + await verified(town, "signed in") - 1 == OF_ACCOUNT.attempts


async def test_while_locked_the_right_secret_is_told_like_a_wrong_one(town: Any) -> None:
    await town.has_household()
    for _ in range(OF_ACCOUNT.attempts):
        assert (await town.sign_in("camille.d", WRONG, device=STRANGER)).status == 401
    answers = []
    for secret in (RIGHT, WRONG):
        response = await town.sign_in("camille.d", secret, device=STRANGER)
        body = await response.json(content_type=None)
        answers.append((response.status, body["code"], body["detail"]))
    assert answers[0] == answers[1]
    assert answers[0][:2] == (429, "sign_in_locked")
    assert await verified(town, "wrong codes") == OF_ACCOUNT.attempts
    await later(town, 1.1)
    assert (await town.sign_in("camille.d", RIGHT, device=STRANGER)).status == 201


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("PUT", "/account/secret", {"secret": "trois tortues bleues"}),
        ("PUT", "/account/email", {"email": "new@example.org"}),
        ("POST", "/account/one-time-codes", {}),
        ("POST", "/account/one-time-codes/end", {}),
    ],
)
async def test_the_present_secret_is_guessed_no_faster_by_many_at_once(
    town: Any, method: str, path: str, more: dict[str, str]
) -> None:
    """Wherever it is asked for again; the ways share one limit."""
    await town.has_household()
    headers = await town.headers(await town.session())

    async def guess(number: int) -> tuple[int, str]:
        body = {"current": RIGHT if number == 30 else f"guess {number}", **more}
        response = await town.client.request(method, path, json=body, headers=headers)
        if response.status == 204:
            return 204, ""
        return response.status, (await response.json(content_type=None)).get("code", "")

    answers = await asyncio.gather(*(guess(number) for number in range(50)))
    assert sum(each != (429, "sign_in_locked") for each in answers) == OF_ACCOUNT.attempts
    assert await verified(town, "wrong secret") <= OF_ACCOUNT.attempts


async def test_one_time_and_recovery_codes_are_guessed_no_faster_by_many_at_once(town: Any) -> None:
    await town.has_household()
    headers = await town.headers(await town.session())
    key = (await (await town.post("/account/one-time-codes", {"current": RIGHT}, headers)).json())["key"]
    first = [town.client.put("/account/one-time-codes", json={"code": "000000"}, headers=headers) for _ in range(50)]
    statuses = [each.status for each in await asyncio.gather(*first)]
    assert sorted(statuses) == [422] * OF_ACCOUNT.attempts + [429] * (50 - OF_ACCOUNT.attempts)
    await later(town, 2)
    code = {"code": pyotp.TOTP(key).now()}
    assert (await town.client.put("/account/one-time-codes", json=code, headers=headers)).status == 201
    session = (await (await town.sign_in("camille.d", RIGHT)).json())["session"]
    guesses = [
        town.post("/sessions/one-time-code", {"session": session, "code": each, "client_address": "192.0.2.9"})
        for each in ("111111", "aaaa-bbbb") * 25
    ]
    statuses = [each.status for each in await asyncio.gather(*guesses)]
    assert sorted(statuses) == [422] * OF_ACCOUNT.attempts + [429] * (50 - OF_ACCOUNT.attempts)


async def test_a_link_of_a_mail_and_a_letters_code_used_50_times_at_once_are_used_once(
    town: Any, record_property: Any
) -> None:
    """Links are random and not limited (decision 59): the row is locked before it is looked at."""
    await town.has_household()
    assert (await town.post("/resets", {"email": "camille@example.org", "client_address": "192.0.2.1"})).status == 202
    token = (await town.mailed("auth.reset.requested"))["token"]
    uses = [town.post("/resets/used", {"token": token, "secret": f"trois tortues {number}"}) for number in range(50)]
    statuses = [each.status for each in await asyncio.gather(*uses)]
    assert sorted(statuses) == [204] + [409] * 49
    headers = await town.headers(await town.session(secret=f"trois tortues {statuses.index(204)}"))
    change = {"current": f"trois tortues {statuses.index(204)}", "email": "new@example.org"}
    assert (await town.client.put("/account/email", json=change, headers=headers)).status == 202
    token = (await town.mailed("auth.email.given"))["token"]
    confirmed = await asyncio.gather(*(town.post("/emails/confirmed", {"token": token}) for _ in range(50)))
    assert sorted(each.status for each in confirmed) == [200] + [409] * 49
    codes = await town.has_letter()
    wrong = {**codes, "secret": "AAAA-BBBB-CCCC"}
    answers = await asyncio.gather(*(town.sign_in(wrong["identifier"], wrong["secret"]) for _ in range(50)))
    statuses = [each.status for each in answers]
    assert sorted(statuses) == [401] * OF_ACCOUNT.attempts + [429] * (50 - OF_ACCOUNT.attempts)


async def test_a_stranger_who_knows_the_identifier_does_not_lock_the_family_out(town: Any) -> None:
    await town.has_household()
    assert (await town.sign_in("camille.d", RIGHT, device="the usual telephone")).status == 201
    for _ in range(OF_ACCOUNT.attempts + 1):
        last = await town.sign_in("camille.d", WRONG, device=STRANGER)
    assert last.status == 429
    assert (await town.sign_in("camille.d", RIGHT, device="the usual telephone")).status == 201
    assert (await town.sign_in("camille.d", RIGHT, device=STRANGER)).status == 429, "the family's success frees nobody"


async def test_a_known_browser_has_a_limit_too_which_a_new_secret_begins_anew(town: Any) -> None:
    await town.has_household()
    session = await town.session()
    for _ in range(OF_ACCOUNT.attempts):
        assert (await town.sign_in("camille.d", WRONG)).status == 401
    assert (await town.sign_in("camille.d", RIGHT)).status == 429
    change = {"current": RIGHT, "secret": "quatre pommes vertes"}
    headers = await town.headers(session)
    assert (await town.client.put("/account/secret", json=change, headers=headers)).status == 200
    assert (await town.sign_in("camille.d", "quatre pommes vertes")).status == 201


async def mistype(town: Any, times: int, address: str) -> list[int]:
    """Somebody else each time, whom nobody knows; from ``address``, or from the one that ``{n:x}`` makes of it."""
    statuses = list[int]()
    for start in range(0, times, 25):
        many = (
            town.sign_in(f"guess-{n}", WRONG, address.format(n=n), f"new-{n}")
            for n in range(start, min(times, start + 25))
        )
        statuses += [each.status for each in await asyncio.gather(*many)]
    return statuses


async def test_an_address_is_slowed_by_a_rate_and_each_waits_no_longer_than_the_one_before(town: Any) -> None:
    await town.has_household()
    assert await mistype(town, OF_ADDRESS.attempts, "203.0.113.9") == [401] * OF_ADDRESS.attempts
    for _ in range(3):
        refused = await town.sign_in("camille.d", RIGHT, "203.0.113.9", "a new phone")
        assert refused.status == 429
        assert int(refused.headers["Retry-After"]) <= OF_ADDRESS.interval.total_seconds() + 1
        await later(town, 0.51)
        assert (await town.sign_in("somebody", WRONG, "203.0.113.9", "x")).status == 401
    assert (await town.sign_in("camille.d", RIGHT, "192.0.2.77", "another new phone")).status == 201


async def test_behind_a_crowded_address_known_browsers_are_not_held_up(town: Any) -> None:
    await town.has_household()
    assert (await town.sign_in("camille.d", RIGHT, "203.0.113.9")).status == 201
    await mistype(town, OF_ADDRESS.attempts + 1, "203.0.113.9")
    assert (await town.sign_in("camille.d", RIGHT, "203.0.113.9", "a new phone")).status == 429
    assert (await town.sign_in("camille.d", RIGHT, "203.0.113.9")).status == 201


async def test_who_mistypes_and_then_succeeds_gives_the_address_everything_back(town: Any) -> None:
    await town.has_household()
    counted = "SELECT sum(attempts) FROM attempt_limit"
    for round_ in range(4):
        for _ in range(3):
            await town.sign_in("camille.d", WRONG, "203.0.113.9", f"new phone {round_}")
        assert (await town.sign_in("camille.d", RIGHT, "203.0.113.9", f"new phone {round_}")).status == 201
    assert await town.sql(counted) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize(
    ("addresses", "last", "is_one"),
    [
        ("2001:db8:7:9::{n:x}", "2001:db8:7:9:aaaa::1", True),
        ("2001:db8:7:{n:x}::1", "2001:db8:7:ffff::1", False),
        ("::ffff:203.0.113.9", "203.0.113.9", True),
    ],
)
async def test_an_ipv6_network_of_64_bits_counts_as_one_address(
    town: Any, addresses: str, last: str, *, is_one: bool
) -> None:
    await town.has_household()
    assert set(await mistype(town, OF_ADDRESS.attempts, addresses)) == {401}
    assert ((await town.sign_in("camille.d", RIGHT, last, "a new phone")).status == 429) is is_one


async def test_forgotten_codes_are_a_rate_by_address_and_a_known_browser_has_its_own(town: Any) -> None:
    await town.has_household()
    await town.session()
    payload = {"email": "camille@example.org", "client_address": "203.0.113.9"}
    statuses = [(await town.post("/resets", payload)).status for _ in range(62)]
    assert statuses[:60] == [202] * 60
    assert statuses[60:] == [429] * 2
    known = {"X-Device": f"{'the usual telephone':_<32}"}
    assert (await town.post("/resets", payload, known)).status == 202
    assert (await town.post("/resets", payload, {"X-Device": "x" * 32})).status == 429
    await later(town, 1.05)
    assert (await town.post("/resets", payload)).status == 202


async def test_of_many_wishes_at_once_no_more_links_are_sent_than_an_hour_allows(town: Any) -> None:
    await town.has_household()
    headers = await town.headers(await town.session())
    change = {"current": RIGHT, "email": "new@example.org"}
    many = [town.client.put("/account/email", json=change, headers=headers) for _ in range(5)]
    assert sorted([each.status for each in await asyncio.gather(*many)]) == [202] * 4 + [429]
    assert await town.sql("SELECT count(*) FROM link") == 4


async def test_what_was_counted_long_ago_is_forgotten(town: Any) -> None:
    await town.sign_in("nobody", WRONG)
    await later(town, 49 * 60)
    await forget(town.client.app)
    assert await town.sql("SELECT count(*) FROM attempt_limit") == 0
