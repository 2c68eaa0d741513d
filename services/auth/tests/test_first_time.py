"""The first sign-in, forgotten codes, and « Mon compte »."""

import asyncio
import hashlib
import unicodedata
from typing import Any
from uuid import uuid4

import pyotp
import pytest
from argon2 import PasswordHasher

from auth.app import build
from auth.jobs import key_recovery_codes
from chassis.testing import eventually

SECRET = "trois tortues bleues"


async def refused(response: Any) -> tuple[int, str]:
    return response.status, (await response.json(content_type=None)).get("code", "")


async def first_secret(town: Any, codes: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """From the letter to the chosen secret: the session that waits for the address, and the mail's fact."""
    session = await town.session(codes["identifier"], codes["secret"])
    body = {"session": session, "secret": SECRET, "email": "nadia.petit@example.org"}
    response = await town.post("/sessions/first-secret", body)
    assert response.status == 201, await response.text()
    made = await response.json()
    assert made["stage"] == "confirm_email"
    return made["session"], await town.mailed("auth.email.given")


async def test_the_letter_opens_nothing_before_a_secret_is_chosen_and_an_address_confirmed(town: Any) -> None:
    codes = await town.has_letter()
    letter_session = await town.session(codes["identifier"], codes["secret"].upper().replace("-", " "))
    answer = await town.token_of(letter_session)
    assert await refused(answer) == (403, "set_up_wanted")
    assert (await answer.json(content_type=None))["stage"] == "choose_secret"
    waiting, mail = await first_secret(town, codes)
    assert mail["email"] == "nadia.petit@example.org"
    assert (await town.token_of(letter_session)).status == 401
    assert await refused(await town.token_of(waiting)) == (403, "set_up_wanted")
    state = await (await town.post("/sessions/state", {"session": waiting})).json()
    assert (state["stage"], state["email"]) == ("confirm_email", "nadia.petit@example.org")
    assert (await town.sign_in(codes["identifier"], codes["secret"])).status == 401
    assert (await town.post("/emails/confirmed", {"token": mail["token"]})).status == 200
    assert (await town.token_of(waiting)).status == 200
    assert (await town.mailed("auth.guardian.changed"))["email"] == "nadia.petit@example.org"
    assert await refused(await town.post("/emails/confirmed", {"token": mail["token"]})) == (409, "link_over")
    assert (await town.sign_in(codes["identifier"], SECRET)).status == 201


async def test_a_wrong_address_is_corrected_and_the_first_link_still_cannot_be_used_twice(town: Any) -> None:
    waiting, first = await first_secret(town, await town.has_letter())
    again = {"session": waiting, "email": "right@example.org"}
    assert (await town.post("/sessions/email", again)).status == 200
    second = await town.mailed("auth.email.given")
    assert second["email"] == "right@example.org"
    assert (await town.post("/emails/confirmed", {"token": second["token"]})).status == 200
    assert await refused(await town.post("/emails/confirmed", {"token": first["token"]})) == (409, "link_over")
    assert await refused(await town.post("/sessions/email", again)) == (403, "set_up_wanted")


@pytest.mark.parametrize(
    ("secret", "reason"),
    [("court", "too_short"), ("Motdepasse2026!", "common"), ("Nadia Petit 56", "personal"), ("1234567890", "common")],
)
async def test_an_easy_secret_is_refused_with_its_reason_and_nothing_is_kept(
    town: Any, secret: str, reason: str
) -> None:
    codes = await town.has_letter()
    session = await town.session(codes["identifier"], codes["secret"])
    body = {"session": session, "secret": secret, "email": "nadia@example.org"}
    response = await town.post("/sessions/first-secret", body)
    assert (response.status, (await response.json(content_type=None))["reason"]) == (422, reason)
    assert (await town.sign_in(codes["identifier"], codes["secret"])).status == 201
    wrong = await town.post("/sessions/first-secret", {**body, "secret": SECRET, "email": "no address"})
    assert await refused(wrong) == (422, "email_wrong")


async def test_forgotten_codes_bring_a_link_that_works_once_unlocks_and_signs_everybody_out(town: Any) -> None:
    await town.has_household()
    session = await town.session()
    for _ in range(5):
        await town.sign_in("camille.d", "wrong")
    assert (await town.sign_in("camille.d", "un-bon-secret")).status == 429
    payload = {"email": " Camille@Example.org", "client_address": "192.0.2.1"}
    assert (await town.post("/resets", payload)).status == 202
    mail = await town.mailed("auth.reset.requested")
    assert (mail["identifier"], mail["email"]) == ("camille.d", "camille@example.org")
    use = {"token": mail["token"], "secret": SECRET}
    easy = await town.post("/resets/used", {**use, "secret": "camille.d!"})
    assert await refused(easy) == (422, "secret_refused")
    both = await asyncio.gather(*(town.post("/resets/used", use) for _ in range(2)))
    assert sorted([each.status for each in both]) == [204, 409]
    assert (await town.token_of(session)).status == 401
    assert (await town.sign_in("camille.d", SECRET)).status == 201


async def test_an_unknown_address_gets_the_same_answer_and_no_link(town: Any) -> None:
    await town.has_household()
    codes = await town.has_letter()
    answers = []
    for email in ("camille@example.org", "nobody@example.org", "nadia@example.org", "no address at all"):
        response = await town.post("/resets", {"email": email, "client_address": "192.0.2.1"})
        answers.append((response.status, await response.read()))
    assert set(answers) == {(202, b"")}

    async def answered() -> bool:
        return bool(await town.sql("SELECT count(*) = 0 FROM reset_wish"))

    await eventually(answered)
    assert await town.sql("SELECT count(*) FROM link WHERE purpose = 'reset'") == 1
    assert codes["identifier"]


async def test_a_reset_link_dies_with_its_time_and_with_any_change_of_the_account(town: Any) -> None:
    await town.has_household()
    payload = {"email": "camille@example.org", "client_address": "192.0.2.1"}
    await town.post("/resets", payload)
    late = await town.mailed("auth.reset.requested")
    await town.sql("UPDATE link SET made_at = made_at - interval '1 day', expires_at = now() - interval '1 second'")
    assert await refused(await town.post("/resets/used", {"token": late["token"], "secret": SECRET})) == (
        409,
        "link_over",
    )
    await town.post("/resets", payload)
    stale = await town.mailed("auth.reset.requested")
    headers = await town.headers(await town.session())
    change = {"current": "un-bon-secret", "secret": "quatre pommes vertes"}
    assert (await town.client.put("/account/secret", json=change, headers=headers)).status == 200
    use = {"token": stale["token"], "secret": SECRET}
    assert await refused(await town.post("/resets/used", use)) == (409, "link_over")
    assert await refused(await town.post("/resets/used", {**use, "token": "x" * 43})) == (409, "link_over")


async def test_a_changed_secret_closes_every_session_and_gives_a_new_one(town: Any) -> None:
    await town.has_household()
    mine, other = await town.session(), await town.session()
    headers = await town.headers(mine)
    wrong = {"current": "wrong", "secret": SECRET}
    assert await refused(await town.client.put("/account/secret", json=wrong, headers=headers)) == (422, "wrong_secret")
    response = await town.client.put(
        "/account/secret", json={"current": "un-bon-secret", "secret": SECRET}, headers=headers
    )
    fresh = (await response.json())["session"]
    assert [(await town.token_of(each)).status for each in (mine, other, fresh)] == [401, 401, 200]
    for _ in range(2):
        await town.mailed("auth.session.ended")


async def test_guessing_the_present_secret_locks_the_account(town: Any) -> None:
    await town.has_household()
    headers = await town.headers(await town.session())
    body = {"current": "wrong", "email": "new@example.org"}
    statuses = [(await town.client.put("/account/email", json=body, headers=headers)).status for _ in range(6)]
    assert statuses == [422] * 5 + [429]


async def test_an_address_changes_when_its_link_is_used_not_before(town: Any) -> None:
    await town.has_household()
    headers = await town.headers(await town.session())
    body = {"current": "un-bon-secret", "email": "new@example.org"}
    assert (await town.client.put("/account/email", json=body, headers=headers)).status == 202
    account = await (await town.client.get("/account", headers=headers)).json()
    assert (account["email"], account["pending_email"]) == ("camille@example.org", "new@example.org")
    mail = await town.mailed("auth.email.given")
    assert (await town.post("/emails/confirmed", {"token": mail["token"]})).status == 200
    account = await (await town.client.get("/account", headers=headers)).json()
    assert (account["email"], account["pending_email"]) == ("new@example.org", None)
    told = await town.mailed("auth.email.replaced")
    assert told["email"] == "camille@example.org"
    assert "new@example.org" not in told.values()


async def test_open_sessions_are_listed_and_closed_one_by_one_and_all(town: Any) -> None:
    await town.has_household()
    keys = [await town.session() for _ in range(3)]
    headers = await town.headers(keys[0])
    listed = (await (await town.client.get("/account", headers=headers)).json())["sessions"]
    assert [each["user_agent"] for each in listed] == ["Firefox/150"] * 3
    assert sum(each["is_current"] for each in listed) == 1
    mine = next(each["session_id"] for each in listed if each["is_current"])
    one = next(each["session_id"] for each in listed if not each["is_current"])
    for _ in range(2):
        assert (await town.client.delete(f"/account/sessions/{one}", headers=headers)).status == 204
    assert (await town.mailed("auth.session.ended"))["session_id"] == one
    assert (await town.client.delete(f"/account/sessions/{uuid4()}", headers=headers)).status == 404
    assert (await town.client.delete(f"/account/sessions/{mine}", headers=await town.staff())).status == 404
    assert (await town.client.delete("/account/sessions", headers=headers)).status == 204
    alive = [(await town.token_of(key)).status for key in keys]
    assert alive == [200, 401, 401]


async def with_telephone(town: Any) -> tuple[pyotp.TOTP, list[str]]:
    """Camille turns one-time codes on: the telephone, and the recovery codes."""
    await town.has_household()
    headers = await town.headers(await town.session())
    assert (await town.post("/account/one-time-codes", {"current": "wrong"}, headers)).status == 422
    key = await (await town.post("/account/one-time-codes", {"current": "un-bon-secret"}, headers)).json()
    assert key["uri"].startswith("otpauth://totp/")
    assert (await (await town.sign_in("camille.d", "un-bon-secret")).json())["stage"] == "open"
    telephone = pyotp.TOTP(key["key"])
    wrong = await town.client.put("/account/one-time-codes", json={"code": "0000"}, headers=headers)
    assert wrong.status == 422
    done = await town.client.put("/account/one-time-codes", json={"code": telephone.now()}, headers=headers)
    assert done.status == 201
    again = await town.post("/account/one-time-codes", {"current": "un-bon-secret"}, headers)
    assert await refused(again) == (409, "codes_on_already")
    return telephone, (await done.json())["codes"]


async def test_one_time_codes_are_wanted_once_on_and_each_is_taken_once(town: Any) -> None:
    telephone, recovery = await with_telephone(town)
    opened = await (await town.sign_in("camille.d", "un-bon-secret")).json()
    assert opened["stage"] == "one_time_code"
    assert await refused(await town.token_of(opened["session"])) == (403, "set_up_wanted")

    async def give(session: str, code: str) -> Any:
        body = {"session": session, "code": code, "client_address": "192.0.2.1"}
        return await town.post("/sessions/one-time-code", body)

    taken = await give(
        opened["session"],
        telephone.at(int(await town.sql("SELECT totp_step FROM account WHERE totp_since IS NOT NULL")) * 30),
    )
    assert await refused(taken) == (422, "wrong_one_time_code")
    given = await give(opened["session"], recovery[0].upper())
    assert given.status == 201
    fresh = (await given.json())["session"]
    assert (await town.token_of(opened["session"])).status == 401
    headers = await town.headers(fresh)
    assert (await (await town.client.get("/account", headers=headers)).json())["recovery_codes_left"] == 9
    again = (await (await town.sign_in("camille.d", "un-bon-secret")).json())["session"]
    assert await refused(await give(again, recovery[0])) == (422, "wrong_one_time_code")
    assert (await town.post("/account/one-time-codes/end", {"current": "un-bon-secret"}, headers)).status == 204
    assert (await (await town.sign_in("camille.d", "un-bon-secret")).json())["stage"] == "open"


async def test_guessed_one_time_codes_lock_the_account_on_every_replica(town: Any, aiohttp_client: Any) -> None:
    await with_telephone(town)
    other = await aiohttp_client(build(town.settings))
    session = (await (await town.sign_in("camille.d", "un-bon-secret")).json())["session"]
    body = {"session": session, "code": "1111", "client_address": "192.0.2.1"}
    statuses = []
    for each in (town.client, other) * 3:
        statuses.append((await each.post("/sessions/one-time-code", json=body)).status)
        await town.sign_in("camille.d", "un-bon-secret")
    assert statuses == [422] * 5 + [429]
    again = (await (await town.sign_in("camille.d", "un-bon-secret")).json())["session"]
    assert (await town.post("/sessions/one-time-code", {**body, "session": again})).status == 429


async def test_every_security_fact_is_written_and_the_database_refuses_to_change_or_forget_it(town: Any) -> None:
    await town.has_household()
    await town.sign_in("camille.d", "wrong")
    headers = await town.headers(await town.session())
    await town.client.delete("/account/sessions", headers=headers)
    facts = await town.sql("SELECT array_agg(fact ORDER BY position) FROM security_fact WHERE account_id IS NOT NULL")
    assert facts[-3:] == ["wrong codes", "signed in", "other sessions closed"]
    for change in ("UPDATE security_fact SET fact = 'x'", "DELETE FROM security_fact", "TRUNCATE security_fact"):
        with pytest.raises(Exception, match=r"append-only|180 days"):
            await town.sql(change)


async def test_recovery_codes_are_kept_under_a_key_and_those_of_the_version_before_are_brought_over(town: Any) -> None:
    _telephone, codes = await with_telephone(town)
    kept = await town.sql("SELECT array_agg(code_hash) FROM recovery_code")
    assert not {hashlib.sha256(each.encode()).digest() for each in codes} & set(kept)
    await town.sql("DELETE FROM recovery_code")
    for code in ("h4tn-8wkc", "qz3m-k7mq"):
        account = "SELECT account_id FROM account WHERE identifier = 'camille.d'"
        plain = hashlib.sha256(code.encode()).digest()
        await town.sql(f"INSERT INTO recovery_code (account_id, code_hash) VALUES (({account}), $1)", plain)

    async def stage_after(code: str) -> str:
        session = (await (await town.sign_in("camille.d", "un-bon-secret")).json())["session"]
        body = {"session": session, "code": code, "client_address": "192.0.2.1"}
        return str((await (await town.post("/sessions/one-time-code", body)).json())["stage"])

    assert await stage_after("h4tn-8wkc") == "open"
    await key_recovery_codes(town.client.app)
    assert await town.sql("SELECT bool_and(is_keyed) FROM recovery_code")
    assert await stage_after("qz3m-k7mq") == "open"


async def test_a_secret_chosen_on_one_keyboard_is_right_on_another(town: Any) -> None:
    composed, decomposed = "forêt très éloignée", unicodedata.normalize("NFD", "forêt très éloignée")
    codes = await town.has_letter()
    session = await town.session(codes["identifier"], codes["secret"])
    body = {"session": session, "secret": decomposed, "email": "nadia@école.fr"}
    assert (await town.post("/sessions/first-secret", body)).status == 201
    assert (await town.mailed("auth.email.given"))["email"] == "nadia@xn--cole-9oa.fr"
    for typed in (composed, decomposed, "ｆorêt très éloignée"):
        assert (await town.sign_in(codes["identifier"], typed)).status == 201
    assert (await town.sign_in(codes["identifier"], "foret tres eloignee")).status == 401


async def test_a_secret_that_was_hashed_as_it_was_typed_stays_right(town: Any) -> None:
    codes, decomposed = await town.has_letter(), unicodedata.normalize("NFD", "forêt très éloignée")
    before = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(decomposed)
    change = "UPDATE account SET secret_hash = $2, set_up = 'done' WHERE identifier = $1"
    await town.sql(change, codes["identifier"], before)
    assert (await town.sign_in(codes["identifier"], decomposed)).status == 201


async def test_an_address_that_no_mail_would_reach_is_refused_wherever_it_is_typed(town: Any) -> None:
    codes = await town.has_letter()
    session = await town.session(codes["identifier"], codes["secret"])
    body = {"session": session, "secret": SECRET, "email": "nadia@example.org"}
    wrong = {**body, "email": "é@example.org"}
    assert await refused(await town.post("/sessions/first-secret", wrong)) == (422, "email_wrong")
    opened = (await (await town.post("/sessions/first-secret", body)).json())["session"]
    again = {"session": opened, "email": "nadía@example.org"}
    assert await refused(await town.post("/sessions/email", again)) == (422, "email_wrong")
