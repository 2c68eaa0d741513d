"""payment-gateway over HTTP and RabbitMQ: a parent pays, the bank notifies, the clock asks."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from aiohttp.test_utils import TestClient, TestServer
from pydantic import SecretStr, ValidationError

from chassis.clock import now
from chassis.database import opened
from chassis.testing import Tokens, eventually
from contracts.events.payment import Means
from contracts.identity import Role
from payment_gateway.app import accounts, build
from payment_gateway.banks.checking import check
from payment_gateway.banks.inquiry import hear
from payment_gateway.domain.payments import Answer, Word
from payment_gateway.settings import Settings
from payment_gateway.store import payments
from payment_gateway.store.health_metrics import HEALTH_METRICS

AUDIENCE = "payment-gateway"


@pytest.mark.every_bank
async def test_a_parent_pays_and_the_house_hears_of_it_once(till: Any) -> None:
    await till.bank.faults(notice="ten_times")
    payment = await till.begin()
    assert payment["status"] == "pending"
    await till.at_bank(payment, "pay")
    shown = await till.becomes(payment, "confirmed")
    assert shown["payer_url"] is None
    event = await till.probe.next("payment.confirmed")
    assert event.data["ticket"]["number"] == shown["ticket_number"]
    assert event.data["ticket"]["authorisation"]
    await till.at_bank(payment, "notify")
    await till.probe.none("payment.confirmed")
    (operation,) = await till.bank.book()
    assert all(notice.endswith(" 200") for notice in operation["notices"])
    ticket = await till.client.get(f"/payments/{payment['payment_id']}/ticket", headers=till.parent())
    assert (await ticket.read()).startswith(b"%PDF")


async def test_a_double_tap_opens_one_attempt(till: Any) -> None:
    checkout_id = await till.checkout()
    answers = await asyncio.gather(*(till.post(checkout_id) for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 200, 200, 200, 201]
    assert len({(await answer.json())["payment_id"] for answer in answers}) == 1
    assert len(await till.bank.book()) == 1
    again = await (await till.post(checkout_id)).json()
    assert again["payer_url"].startswith(till.bank.url)


@pytest.mark.every_bank(but=("paybox",))
async def test_no_notification_and_the_return_looks_up(till: Any) -> None:
    await till.bank.faults(notice="never")
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    assert (await till.act(payment, "look-up"))["status"] == "confirmed"


async def test_an_answer_in_many_pieces_is_read_to_its_end(till: Any) -> None:
    await till.bank.faults(answer_in_pieces=True, notice="never")
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    assert (await till.act(payment, "look-up"))["status"] == "confirmed"


@pytest.mark.every_bank(but=("paybox", "stripe"))
async def test_nobody_gives_up_while_somebody_is_on_the_banks_page(till: Any) -> None:
    payment = await till.begin()
    await till.opens_page(payment)
    refused = await till.act(payment, "abandon")
    assert (refused["code"], (await till.get(payment))["status"]) == ("payment_unresolved", "processing")
    await till.at_bank(payment, "abandon")
    assert (await till.act(payment, "abandon"))["status"] == "cancelled"
    keeper = Tokens.headers(till.tokens.staff(Role.CASHIER, audience=AUDIENCE))
    path = f"/payments/{payment['payment_id']}/abandon"
    assert (await till.client.post(path, headers=keeper)).status == 403


async def test_a_hint_that_comes_before_the_result_is_followed_up(till: Any) -> None:
    await till.bank.faults(notice="early", answer_delay_seconds=1)
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    await till.becomes(payment, "processing")
    await asyncio.sleep(1)
    assert (await till.act(payment, "look-up"))["status"] == "confirmed"


@pytest.mark.every_bank
async def test_a_refusal_ends_the_checkout(till: Any) -> None:
    payment = await till.begin()
    await till.at_bank(payment, "refuse")
    await till.becomes(payment, "refused")
    assert (await till.probe.next("payment.refused")).data["outcome"] == "refused"
    assert (await till.post(UUID(payment["checkout_id"]))).status == 409


@pytest.mark.every_bank
async def test_a_wrong_amount_is_reviewed(till: Any) -> None:
    await till.bank.faults(amount_offset_cents=-1)
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    await till.becomes(payment, "review")
    await till.probe.none("payment.confirmed")


@pytest.mark.every_bank(but=("paybox", "stripe"))
async def test_given_up_then_paid_after_all(till: Any) -> None:
    await till.bank.faults(notice="never")
    payment = await till.begin()
    assert (await till.act(payment, "abandon"))["status"] == "cancelled"
    assert (await till.probe.next("payment.refused")).data["outcome"] == "cancelled"
    await till.at_bank(payment, "pay")
    assert (await till.act(payment, "look-up"))["status"] == "confirmed"
    await till.probe.next("payment.confirmed")


async def test_the_bank_is_down(till: Any) -> None:
    await till.bank.faults(service_down=True)
    response = await till.post(await till.checkout())
    assert response.status == 503
    assert (await response.json())["code"] == "bank_unreachable"
    assert (await till.probe.next("payment.refused")).data["outcome"] == "failed"
    await till.bank.faults(service_down=False)
    payment = await till.begin()
    await till.bank.faults(service_down=True)
    assert (await till.act(payment, "abandon"))["code"] == "bank_unreachable"
    assert (await till.get(payment))["status"] == "pending"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/webhooks/nobank", b"idop=abcdef", 404),
        ("/webhooks/payfip", b"idop=00000000-0000-0000-0000-000000000000", 404),
        ("/webhooks/payfip", b"", 400),
        ("/webhooks/payfip", b"idop=a'--", 400),
        ("/webhooks/payfip", b"\xff\xfe", 400),
        ("/webhooks/payfip", b"idop=" + b"a" * 70_000, 413),
        ("/webhooks/payfip?idop=abcdef&idop=ghijkl", b"", 400),
        ("/webhooks/lyra-12345678", b"idop=abcdef", 400),
        ("/webhooks/lyra-12345678", b"vads_order_id=A&signature=AAAA", 400),
        ("/webhooks/paybox-1999888-32", b"amount=1&ref=A&error=00000&sign=AAAA", 400),
        ("/webhooks/paybox-1999888-32?door=nobodyguessesthisaddress", b"amount=1&ref=A&error=00000&sign=AAAA", 400),
        ("/webhooks/stripe-asso", b"{}", 400),
    ],
)
async def test_bad_notifications(till: Any, path: str, body: bytes, status: int) -> None:
    assert (await till.client.post(path, data=body)).status == status


@pytest.mark.parametrize(
    ("query", "agent"), [(b"", b"\xff\xfe"), (b"?idop=\xff\xfe\xfd\xfc\xfb\xfa", b"x"), (b"?a=%00%ff", b"\xc3\xa9")]
)
async def test_bytes_that_are_no_text_get_an_answer(till: Any, query: bytes, agent: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", till.settings.http_port)
    lines = [b"POST " + till.webhook.encode() + query + b" HTTP/1.1", b"Host: x", b"User-Agent: " + agent]
    writer.write(b"\r\n".join([*lines, b"Content-Length: 3", b"Connection: close", b"", b"a=b"]))
    status = int((await reader.readline()).split()[1])
    writer.close()
    assert status in {400, 404}


async def test_a_hint_while_the_bank_is_answering_is_not_forgotten(till: Any) -> None:
    await till.bank.faults(notice="never")
    payment = await till.begin()
    await till.opens_page(payment)
    patient = till.settings.model_copy(update={"parent_look_up_seconds": 30.0})
    async with TestClient(TestServer(build(patient))) as replica:
        await till.bank.faults(notice="never", slow_seconds=5)
        path = f"/payments/{payment['payment_id']}/look-up"
        asking = asyncio.create_task(replica.post(path, headers=till.parent()))
        await asyncio.sleep(2)
        await till.at_bank(payment, "pay")
        hint = await replica.post(till.webhook, data=f"idop={till.id_op(payment)}".encode())
        assert hint.status == 200
        assert (await (await asking).json())["status"] == "processing"
        await till.becomes(payment, "confirmed")


async def test_who_may_see_and_begin(till: Any) -> None:
    payment = await till.begin()
    stranger = till.parent(uuid4())
    path = f"/payments/{payment['payment_id']}"
    assert (await till.client.get(path, headers=stranger)).status == 404
    assert (await till.client.get(path)).status == 401
    assert (await till.client.get("/payments", headers=stranger)).status == 403
    keeper = Tokens.headers(till.tokens.staff(Role.CASHIER, audience=AUDIENCE))
    listed = await (await till.client.get("/payments", headers=keeper)).json()
    assert [each["payment_id"] for each in listed["payments"]] == [payment["payment_id"]]
    theirs = await till.client.get(f"/checkouts/{payment['checkout_id']}/payments", headers=stranger)
    assert (await theirs.json())["payments"] == []
    assert (await till.client.get(f"{path}/ticket", headers=till.parent())).status == 404
    assert (
        await till.client.post("/payments", json={"checkout_id": payment["checkout_id"]}, headers=keeper)
    ).status == 403


async def test_what_cannot_be_paid(till: Any) -> None:
    assert (await (await till.post(uuid4())).json())["code"] == "checkout_not_ready"
    assert (await (await till.post(await till.checkout(), email=None)).json())["code"] == "payer_email_missing"


async def test_a_checkout_nobody_paid_in_time_is_let_go_when_it_is_tried(till: Any) -> None:
    response = await till.post(await till.checkout(minutes=-1))
    assert (await response.json())["status"] == "failed"
    assert (await till.probe.next("payment.refused")).data["outcome"] == "failed"
    assert await till.bank.book() == []


async def test_an_attempt_that_never_reached_the_bank_is_closed(till: Any) -> None:
    await till.bank.faults(service_down=False)
    checkout_id, payment_id = await till.checkout(), uuid4()
    await till.sql(
        "INSERT INTO payment (payment_id, checkout_id, household_id, payer_id, payer_email, bank, account, mode, "
        "reference, amount_cents, status, created_at, changed_at, look_up_at, day, number) VALUES ($1, $2, $3, $1, "
        "'a@b.fr', 'payfip', '123456', 'test', 'LOST000001', 4250, 'created', "
        "now() - interval '2 minutes', now(), now(), '2026-01-01', 1)",
        payment_id,
        checkout_id,
        till.household,
    )
    await till.sql("SELECT pg_notify('look_up_due', '')")
    assert (await till.probe.next("payment.refused")).data["outcome"] == "failed"


async def test_history_is_never_rewritten(till: Any) -> None:
    await till.begin()
    for statement in ("UPDATE payment_move SET reason = 'x'", "DELETE FROM bank_word", "TRUNCATE payment_move"):
        with pytest.raises(asyncpg.RaiseError):
            await till.sql(statement)


@pytest.mark.every_bank
async def test_a_late_success_after_we_gave_up_waiting_is_confirmed(till: Any) -> None:
    await till.bank.faults(notice="never")
    payment = await till.begin()
    await till.opens_page(payment)
    ago = "UPDATE payment SET created_at = now() - interval '61 minutes' WHERE payment_id = $1"
    await till.sql(ago, UUID(payment["payment_id"]))
    assert (await till.act(payment, "look-up"))["status"] == "expired"
    await till.probe.next("payment.expired")
    await till.at_bank(payment, "pay")
    await till.at_bank(payment, "notify")
    await till.becomes(payment, "confirmed")
    await till.probe.next("payment.confirmed")


@pytest.mark.every_bank
async def test_notification_return_and_clock_race_to_one_confirmation(till: Any) -> None:
    await till.bank.faults(notice="ten_times")
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    await till.sql("UPDATE payment SET look_up_at = now()")
    await till.sql("SELECT pg_notify('look_up_due', '')")
    await asyncio.gather(*(till.act(payment, "look-up") for _ in range(5)))
    await till.becomes(payment, "confirmed")
    await till.probe.next("payment.confirmed")
    await till.probe.none("payment.confirmed")
    assert await till.sql("SELECT count(*) FROM payment_move WHERE to_status = 'confirmed'") == 1
    assert await till.sql("SELECT last_number FROM ticket_series") == 1


@pytest.mark.every_bank
async def test_a_refusal_after_the_confirmation_is_journalled_only(till: Any) -> None:
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    await till.becomes(payment, "confirmed")
    words = await till.sql("SELECT count(*) FROM bank_word")
    await till.bank.faults(amount_offset_cents=-100)
    await till.at_bank(payment, "notify")
    await till.client.post(f"/payments/{payment['payment_id']}/look-up", headers=till.keeper())
    await eventually(lambda: till.sql("SELECT count(*) > $1 FROM bank_word", words))
    assert (await till.get(payment))["status"] == "confirmed"


@pytest.mark.parametrize(
    ("till", "differs"),
    [
        *(("payfip", differs) for differs in ("mode", "account", "reference")),
        *(("lyra-12345678", differs) for differs in ("mode", "account", "reference", "currency")),
        *(("stripe-asso", differs) for differs in ("mode", "reference", "currency")),
    ],
    indirect=["till"],
)
async def test_what_differs_is_held_and_never_confirmed(till: Any, differs: str) -> None:
    await till.bank.faults(notice="never", differs=differs)
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    assert (await till.act(payment, "look-up"))["status"] == "review"
    assert (await till.probe.next("payment.held")).data["checkout_id"] == payment["checkout_id"]
    file = await till.staff_reads(f"/payments/{payment['payment_id']}/file")
    assert [each["name"] for each in file["differences"]] == [differs]
    assert ("confirm" in file["commands"]) == (differs in {"account", "reference"})
    ((kind, held),) = [(each["kind"], each["payment_id"]) for each in (await till.staff_reads("/till"))["exceptions"]]
    assert (kind, held) == ("review", payment["payment_id"])


@pytest.mark.every_bank(but=("payfip",))
@pytest.mark.parametrize("fault", [{"forged": True}, {"differs": "mode"}, {"differs": "account"}])
async def test_a_forged_or_misdirected_notification_changes_nothing(till: Any, fault: dict[str, Any]) -> None:
    await till.bank.faults(**fault)
    payment = await till.begin()
    await till.at_bank(payment, "pay")

    async def refused() -> Any:
        return await till.sql("SELECT count(*) FROM bank_word WHERE verdict = 'forged' AND payment_id IS NULL")

    await eventually(refused)
    assert (await till.get(payment))["status"] == "pending"
    assert await till.answered() == "400"


@pytest.mark.every_bank(but=("payfip", "stripe"))
async def test_a_signed_notification_about_nothing_known_is_kept_and_asked_again(till: Any) -> None:
    await till.bank.faults(differs="reference")
    payment = await till.begin()
    await till.at_bank(payment, "pay")

    async def kept() -> Any:
        return await till.sql("SELECT count(*) FROM bank_word WHERE verdict = 'unknown'")

    await eventually(kept)
    assert await till.answered() == "503"
    report = await till.staff_reads("/till")
    assert [(each["bank"], each["kind"]) for each in report["signed_notices"]] == [(till.bank_name, "unknown")]
    assert report["unknown_notices"] == []


async def test_forged_notifications_fill_no_journal(till: Any) -> None:
    payment = await till.begin()
    for number in range(12):
        unknown = f"idop=00000000-0000-0000-0000-0000000000{number:02d}".encode()
        assert (await till.client.post(till.webhook, data=unknown)).status == 404
        assert (await till.client.post(till.webhook, data=b"\xff%d" % number)).status == 400
    hours = await till.sql("SELECT count(*) FROM unknown_notice")  # two, when the test runs across a full hour
    assert await till.sql("SELECT count(*) FROM bank_word WHERE payment_id IS NULL") <= 5 * hours
    assert await till.sql("SELECT sum(seen)::int FROM unknown_notice") == 24
    refused = next(vital for vital in HEALTH_METRICS if vital.name == "bank_notices_refused")
    assert await till.sql(refused.query) == 24 < refused.threshold
    for number in range(12):
        more = f"idop={till.id_op(payment)}&n={number}".encode()
        assert (await till.client.post(till.webhook, data=more)).status == 200
    assert await till.sql("SELECT count(*) FROM bank_word WHERE kind = 'notice' AND payment_id IS NOT NULL") == 8


async def test_two_replicas_ask_about_an_attempt_once(till: Any) -> None:
    await till.bank.faults(notice="never")
    payments = [await till.begin() for _ in range(6)]
    for payment in payments:
        await till.at_bank(payment, "pay")
    async with TestClient(TestServer(build(till.settings))):
        await till.sql("UPDATE payment SET look_up_at = now()")
        await till.sql("SELECT pg_notify('look_up_due', '')")
        for payment in payments:
            await till.becomes(payment, "confirmed")
    assert await till.sql("SELECT count(*) FROM payment_move WHERE to_status = 'confirmed'") == 6


async def test_an_attempt_without_its_account_stops_no_other(till: Any) -> None:
    await till.bank.faults(notice="never")
    lost, payment = await till.begin(), await till.begin()
    await till.at_bank(payment, "pay")
    await till.sql("ALTER TABLE payment DISABLE TRIGGER frozen")
    await till.sql("UPDATE payment SET bank = 'gone' WHERE payment_id = $1", UUID(lost["payment_id"]))
    await till.sql("UPDATE payment SET look_up_at = now()")
    await till.sql("SELECT pg_notify('look_up_due', '')")
    await till.becomes(payment, "confirmed")


async def test_a_bank_that_never_answers_well_comes_to_the_list(till: Any) -> None:
    payment = await till.begin()
    await till.bank.faults(service_down=True)
    for _ in range(5):
        assert (await till.act(payment, "look-up"))["code"] == "bank_unreachable"
    (line,) = (await till.staff_reads("/till"))["exceptions"]
    assert line["kind"] == "unanswered"
    await till.bank.faults(service_down=False)
    await till.act(payment, "look-up")
    assert (await till.staff_reads("/till"))["exceptions"] == []


@pytest.mark.every_bank
async def test_the_self_test_says_what_is_wrong(till: Any) -> None:
    settings = till.settings.model_copy(update={"webhook_check": True})
    bank = next(each for each in accounts(settings) if each.name == till.bank_name)
    await bank.start()
    assert await check(settings, bank) == []
    await till.bank.faults(service_down=True)
    assert await check(settings, bank) == ["account"]
    await bank.stop()
    assert await till.sql("SELECT count(*) FROM unknown_notice") == 0


async def test_a_till_pays_at_one_account_only(till: Any) -> None:
    (account,) = till.settings.stripe_accounts
    told = till.settings.model_dump()
    for other in ({"label": "other"}, {"tills": {"REGIE-T"}}, {"label": "other", "tills": {"REGIE-L"}}):
        told["stripe_accounts"] = [account, account.model_copy(update=other)]
        with pytest.raises(ValidationError, match="two accounts"):
            Settings.model_validate(told)
    told["stripe_accounts"] = [account, account.model_copy(update={"label": "other", "tills": frozenset({"REGIE-T"})})]
    assert len(accounts(Settings.model_validate(told))) == 6


async def test_the_self_test_finds_a_wrong_password(till: Any) -> None:
    (shop, unasked), (account,) = till.settings.lyra_accounts, till.settings.stripe_accounts
    wrong = {
        "lyra_accounts": (shop.model_copy(update={"rest_password": SecretStr("wrong")}), unasked),
        "stripe_accounts": (account.model_copy(update={"secret_key": SecretStr("sk_test_wrong")}),),
    }
    settings = till.settings.model_copy(update=wrong)
    for stranger in accounts(settings):
        await stranger.start()
        assert await check(settings, stranger) == (
            ["account"] if stranger.name in {f"lyra-{shop.site_id}", "stripe-asso"} else []
        )
        await stranger.stop()


@pytest.mark.parametrize(("minutes", "later"), [(29, 0), (31, 1)])
async def test_a_ticket_has_the_number_of_its_year_in_paris(till: Any, minutes: int, later: int) -> None:
    payment_id = UUID((await till.begin())["payment_id"])
    at = datetime(now().year, 12, 31, 22, 30, tzinfo=UTC) + timedelta(minutes=minutes)
    async with opened(till.settings.database_url) as database, database.transaction() as tx:
        attempt = await payments.attempt_for_update(tx, payment_id)
        paid = Answer(
            Word.PAID,
            attempt.amount_cents,
            attempt.account,
            attempt.mode,
            attempt.reference,
            means=Means.CARD,
            authorisation="000001",
            at=at,
        )
        moved = await hear(tx, till.settings, attempt, paid, asked_at=at, at=at)
        assert moved.ticket is not None
        assert moved.ticket.number.startswith(f"T-{at.year + later}-")
