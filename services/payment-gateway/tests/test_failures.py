"""PAYMENTS' failure table, row by row, at every bank; the rows that are not here have their story in
``test_payment_gateway`` (ten times the same, races, late successes, what differs) or ``test_notices`` (raw bytes).
"""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from chassis.testing import eventually
from payment_gateway.store.health_metrics import HEALTH_METRICS

pytestmark = pytest.mark.every_bank

KEPT = "SELECT count(*) FROM bank_word WHERE payment_id = $1 AND kind = $2"
CONFIRMATIONS = "SELECT count(*) FROM payment_move WHERE to_status = 'confirmed'"
BREAK = (
    "CREATE FUNCTION break_down() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'out of order'; END $$",
    "CREATE TRIGGER broken BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION break_down()",
)
UNKNOWN = "SELECT count(*) FROM bank_word WHERE verdict = 'unknown' AND (query <> '' OR body <> '')"


async def is_confirmed_once(till: Any, payment: dict[str, Any]) -> None:
    """The payment is confirmed, and one event says so."""
    await till.becomes(payment, "confirmed")
    event = await till.probe.next("payment.confirmed")
    assert event.data["payment_id"] == payment["payment_id"]
    await till.probe.none("payment.confirmed")
    assert await till.sql(CONFIRMATIONS) == 1


async def sweeps(till: Any) -> None:
    await till.sql("UPDATE payment SET look_up_at = now() WHERE look_up_at IS NOT NULL")
    await till.sql("SELECT pg_notify('look_up_due', '')")


async def raw_notice(till: Any, payment: dict[str, Any]) -> tuple[str, dict[str, str], bytes]:
    """The last notification about a payment as it was kept: its query, headers and body."""
    word = "FROM bank_word WHERE payment_id = $1 AND kind = 'notice' ORDER BY word_id DESC LIMIT 1"
    payment_id = UUID(payment["payment_id"])
    query, body = [await till.sql(f"SELECT {column} {word}", payment_id) for column in ("query", "body")]
    names = await till.sql(
        f"SELECT string_agg(key || '=' || value, E'\\n') FROM (SELECT headers {word}) w, jsonb_each_text(w.headers)",
        payment_id,
    )
    headers = dict(line.partition("=")[::2] for line in (names or "").splitlines())
    if query == "door":  # the journal keeps no secret; whoever copied the notification has it
        query = f"door={till.door}"
    return query, headers, body


@pytest.mark.every_bank(but=("paybox",))
async def test_the_notification_never_comes(till: Any) -> None:
    await till.bank.faults(notice="never")
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    await sweeps(till)
    await is_confirmed_once(till, payment)


async def test_a_notification_about_a_payment_that_is_not_here_is_kept_and_never_answered_with_200(till: Any) -> None:
    payment = await till.begin()
    await till.opens_page(payment)
    await till.sql("ALTER TABLE payment DISABLE TRIGGER frozen")
    await till.sql("UPDATE payment SET reference = 'LOST', bank_reference = 'LOST', look_up_at = NULL")
    await till.at_bank(payment, "pay")
    assert await till.answered() in {"404", "503"}
    assert (
        await till.sql("SELECT count(*) FROM bank_word WHERE verdict = 'unknown' AND length(body || query::bytea) > 0")
        == 1
    )
    counted = "signed_notices" if till.bank_name != "payfip" else "unknown_notices"
    assert (await till.staff_reads("/till"))[counted][0]["seen"] == 1


async def test_the_handler_breaks_and_the_parent_presses_again(till: Any) -> None:
    payment = await till.begin()
    await till.opens_page(payment)
    for statement in BREAK:
        await till.sql(statement)
    await till.at_bank(payment, "pay")
    await till.answered()
    assert (await till.get(payment))["status"] == "pending"
    again = await till.post(UUID(payment["checkout_id"]))
    assert again.status in {200, 409}
    assert (await again.json())["payment_id"] == payment["payment_id"]
    await till.sql("DROP TRIGGER broken ON outbox")
    await till.at_bank(payment, "notify")
    await is_confirmed_once(till, payment)
    assert await till.sql("SELECT count(*) FROM payment") == 1


async def test_a_notification_of_another_payment_altered_to_name_this_one_pays_nothing(till: Any) -> None:
    paid, unpaid = await till.begin(), await till.begin()
    await till.opens_page(unpaid)
    await till.at_bank(paid, "pay")
    await till.becomes(paid, "confirmed")
    query, headers, body = await raw_notice(till, paid)
    for column in ("reference", "bank_reference"):
        find = f"SELECT {column} FROM payment WHERE payment_id = $1"
        theirs, mine = [await till.sql(find, UUID(each["payment_id"])) for each in (paid, unpaid)]
        query, body = query.replace(theirs, mine), body.replace(theirs.encode(), mine.encode())
    answer = await till.client.post(f"{till.webhook}?{query}" if query else till.webhook, data=body, headers=headers)
    assert answer.status in {200, 400}
    await sweeps(till)
    await till.act(unpaid, "look-up")
    assert (await till.get(unpaid))["status"] in {"pending", "processing"}
    await is_confirmed_once(till, paid)


async def test_a_notification_replayed_byte_for_byte_says_nothing_new(till: Any) -> None:
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    await till.becomes(payment, "confirmed")
    query, headers, body = await raw_notice(till, payment)
    kept = await till.sql(KEPT, UUID(payment["payment_id"]), "notice")
    url = f"{till.webhook}?{query}" if query else till.webhook
    answers = await asyncio.gather(*(till.client.post(url, data=body, headers=headers) for _ in range(5)))
    assert {answer.status for answer in answers} == {200}
    assert await till.sql(KEPT, UUID(payment["payment_id"]), "notice") == kept
    await is_confirmed_once(till, payment)


@pytest.mark.parametrize("cents", [-1, 1])
async def test_an_amount_that_differs_is_never_confirmed(till: Any, cents: int) -> None:
    await till.bank.faults(amount_offset_cents=cents)
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    await till.becomes(payment, "review")
    await till.probe.next("payment.held")
    assert await till.sql(CONFIRMATIONS) == 0


async def test_two_tabs_open_one_attempt_and_the_money_is_taken_once(till: Any) -> None:
    payment = await till.begin()
    again = await asyncio.gather(*(till.post(UUID(payment["checkout_id"])) for _ in range(4)))
    assert {(await answer.json())["payment_id"] for answer in again} == {payment["payment_id"]}
    await till.opens_page(payment)
    await till.opens_page(payment)
    await till.at_bank(payment, "pay")
    await is_confirmed_once(till, payment)
    assert (await till.post(UUID(payment["checkout_id"]))).status == 409


async def test_a_slow_bank_does_not_slow_the_answer_to_its_notification(till: Any) -> None:
    payment = await till.begin()
    await till.opens_page(payment)
    answers = await till.sql(KEPT, UUID(payment["payment_id"]), "answer")
    await till.bank.faults(slow_seconds=4)
    await till.at_bank(payment, "pay")
    assert await till.answered() == "200"
    assert await till.sql(KEPT, UUID(payment["payment_id"]), "answer") == answers  # nobody waited for the bank
    await is_confirmed_once(till, payment)


@pytest.mark.announced("192.0.2.0/24")
async def test_a_notification_from_where_no_bank_announced_to_be_counts_and_is_marked(till: Any) -> None:
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    await is_confirmed_once(till, payment)
    words = (await till.staff_reads(f"/payments/{payment['payment_id']}/file"))["words"]
    assert {each["is_elsewhere"] for each in words if each["verdict"] != "answer"} == {True}
    query = next(each.query for each in HEALTH_METRICS if each.name == "bank_notices_from_elsewhere")
    assert await till.sql(query) == 1


@pytest.mark.announced("192.0.2.0/24", "127.0.0.0/8")
async def test_a_notification_from_where_its_bank_announced_to_be_is_not(till: Any) -> None:
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    await is_confirmed_once(till, payment)
    assert await till.sql("SELECT count(*) FROM bank_word WHERE is_elsewhere") == 0


async def test_the_broker_is_down(till: Any) -> None:
    payment = await till.begin()
    await till.opens_page(payment)
    await till.broker.cut()
    await till.at_bank(payment, "pay")
    assert await till.answered() == "200"
    await till.becomes(payment, "confirmed")
    assert await till.sql("SELECT count(*) FROM outbox WHERE published_at IS NULL") == 1
    await till.broker.mend()
    await is_confirmed_once(till, payment)


async def test_the_database_is_down(till: Any) -> None:
    payment = await till.begin()
    await till.opens_page(payment)
    words = await till.sql("SELECT count(*) FROM bank_word")
    await till.database.cut()
    await till.at_bank(payment, "pay")
    assert await till.answered() == "503"
    refused = await till.client.post(till.webhook, data=b"idop=abcdefgh")
    assert (refused.status, int(refused.headers["Retry-After"]) > 0) == (503, True)
    assert await till.sql("SELECT count(*) FROM bank_word") == words
    await till.database.mend()

    async def comes_again() -> bool:
        await till.at_bank(payment, "notify")
        return bool((await till.get(payment))["status"] == "confirmed")

    await eventually(comes_again)
    await is_confirmed_once(till, payment)
