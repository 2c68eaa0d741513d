"""notifier on a real database, broker and SMTP server: which facts become mails, for whom, once."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiohttp.test_utils import TestClient, TestServer

from chassis.clock import now
from chassis.encryption import Encryption
from chassis.testing import eventually
from contracts.events.auth import (
    EmailGiven,
    EmailReplaced,
    GuardianChanged,
    HouseholdChanged,
    ResetRequested,
    Span,
)
from contracts.events.payment import PaymentRefused, UnpaidOutcome
from contracts.events.planning import BookedDay, BookingsChanged, Channel, OfferLapsed, PlaceGranted, PlaceOffered
from notifier.app import build
from notifier.domain.mails import Kind

EXAMPLES = Path(__file__).parents[3] / "contracts" / "examples"


async def test_the_ticket_goes_out_once_with_its_pdf(post: Any) -> None:
    await post.known()
    event = post.confirmed()
    event_id = await post.probe.publish(event, times=3)
    await post.probe.publish(event)  # the same fact as another message
    await post.probe.publish(event, event_id=event_id)
    (mail,) = await post.mails(1)
    assert mail["To"] == "camille@example.org"
    assert "T-2026-000001" in mail["Subject"]
    (attached,) = mail.iter_attachments()
    assert attached.get_filename() == "justificatif-T-2026-000001.pdf"
    assert attached.get_content().startswith(b"%PDF")
    text = mail.get_body(("plain",))
    assert text is not None
    assert "000123" in text.get_content()
    line = await post.line("sent")
    assert line["attempts"] == 1


async def test_a_ticket_waits_for_its_payer_to_be_known(post: Any) -> None:
    await post.probe.publish(post.confirmed())
    await asyncio.sleep(0.7)
    assert post.mail_server.taken == []
    await post.known()
    await post.mails(1)


async def test_an_invoice_is_told_only_to_who_asked(post: Any) -> None:
    await post.known()
    await post.hears(post.published())
    await post.wants(invoice_published=True)
    event = post.published()
    await post.probe.publish(event, times=2)
    (mail,) = await post.mails(1)
    assert "novembre 2026" in mail["Subject"]


async def test_a_recap_lists_each_day(post: Any) -> None:
    await post.known()
    await post.wants(booking_recap=True)
    days = tuple(
        BookedDay(activity_id=uuid4(), activity_label="Petites Vac. Matin", day=date(2026, 12, 22 + n), booked=n == 0)
        for n in range(2)
    )
    await post.probe.publish(
        BookingsChanged(
            household_id=post.household,
            child_id=uuid4(),
            child_first_name="Léa",
            version=1,
            channel=Channel.INTERNET,
            changed_by=post.guardian,
            changed_at=now(),
            days=days,
        )
    )
    (mail,) = await post.mails(1)
    text = mail.get_body(("plain",))
    assert text is not None
    assert "☑ mardi 22 décembre 2026, Petites Vac. Matin : inscrit" in text.get_content()
    assert "☐ mercredi 23 décembre 2026, Petites Vac. Matin : annulé" in text.get_content()


async def test_a_granted_place_and_a_closed_day_are_told_to_who_asked_for_nothing(post: Any) -> None:
    await post.known()
    child, canteen, day = uuid4(), uuid4(), date(2026, 12, 22)

    def changed(version: int, channel: Channel, *, booked: bool, reason: str | None = None) -> BookingsChanged:
        days = (BookedDay(activity_id=canteen, activity_label="Cantine", day=day, booked=booked),)
        return BookingsChanged(
            household_id=post.household,
            child_id=child,
            child_first_name="Léa",
            version=version,
            channel=channel,
            changed_by=post.guardian,
            changed_at=now(),
            days=days,
            reason=reason,
        )

    await post.hears(changed(1, Channel.WAITING_LIST, booked=True))
    place = PlaceGranted(
        household_id=post.household,
        child_id=child,
        child_first_name="Léa",
        version=1,
        activity_id=canteen,
        activity_label="Cantine",
        day=day,
        granted_at=now(),
        cancel_until=datetime(2026, 12, 21, 17, 0, tzinfo=UTC),
    )
    await post.probe.publish(place, times=2)
    (granted,) = await post.mails(1)
    assert granted["Subject"] == "Léa a une place le mardi 22 décembre 2026 : Cantine"
    text = granted.get_body(("plain",))
    assert text is not None
    assert "21" in text.get_content()
    assert "18" in text.get_content()
    await post.hears(changed(2, Channel.AUTOMATIC, booked=False, reason="Grève du personnel"))
    _, closed = await post.mails(2)
    assert closed["Subject"] == "Jour fermé : les réservations de Léa du mardi 22 décembre 2026 sont annulées"
    text = closed.get_body(("plain",))
    assert text is not None
    assert "Motif : Grève du personnel" in text.get_content()
    assert "☐ mardi 22 décembre 2026, Cantine : annulé" in text.get_content()


async def test_an_older_address_never_replaces_a_newer_one(post: Any) -> None:
    await post.known("new@example.org", version=2)
    await post.hears(
        GuardianChanged(
            guardian_id=post.guardian,
            household_id=post.household,
            version=1,
            first_name="Camille",
            last_name="Dupont",
            email="old@example.org",
            active=True,
        )
    )
    await post.probe.publish(post.confirmed())
    (mail,) = await post.mails(1)
    assert mail["To"] == "new@example.org"


async def test_a_refusal_by_the_bank_is_told_to_who_tried_and_giving_up_is_not(post: Any) -> None:
    await post.known()
    facts = {"payment_id": uuid4(), "checkout_id": uuid4(), "household_id": post.household, "payer_id": post.guardian}
    for outcome in (UnpaidOutcome.CANCELLED, UnpaidOutcome.FAILED):
        await post.hears(PaymentRefused(**facts, amount_cents=4250, outcome=outcome, refused_at=now()))
    await post.probe.publish(
        PaymentRefused(**facts, amount_cents=4250, outcome=UnpaidOutcome.REFUSED, refused_at=now())
    )
    (mail,) = await post.mails(1)
    assert mail["Subject"] == "Votre paiement de 42,50\N{NO-BREAK SPACE}€ n'a pas abouti"


async def test_money_is_told_to_nobody_who_left_the_household(post: Any) -> None:
    await post.known()
    await post.hears(
        GuardianChanged(
            guardian_id=post.guardian,
            household_id=uuid4(),
            version=2,
            first_name="Camille",
            last_name="Dupont",
            email="camille@example.org",
            active=True,
        )
    )
    await post.hears(post.confirmed())
    await post.mails(0)


async def test_optional_mails_are_left_with_one_click(post: Any) -> None:
    await post.known()
    await post.wants(invoice_published=True, booking_recap=True, language="en")
    await post.probe.publish(post.published())
    (mail,) = await post.mails(1)
    assert mail["Subject"] == "Your invoice for November 2026 is online"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    _, _, path = mail["List-Unsubscribe"].strip("<>").partition("/desabonnement/")
    key, _, kind = path.partition("/")
    for given, status in (((uuid4(), kind), 404), ((key, "ticket"), 404), ((key, kind), 204), ((key, kind), 204)):
        body = {"unsubscribe_key": str(given[0]), "kind": given[1]}
        assert (await post.client.post("/unsubscriptions", json=body)).status == status
    saved = await (await post.client.get("/preferences", headers=post.parent())).json()
    assert (saved["invoice_published"], saved["booking_recap"], saved["language"]) == (False, True, "en")
    await post.hears(post.published())
    await post.probe.publish(post.confirmed())
    assert [each["Subject"][:12] for each in await post.mails(2)][1] == "Your payment"


async def test_a_guardian_who_has_not_chosen_is_written_to_in_the_household_s_language(post: Any) -> None:
    family = {"household_id": post.household, "reference": "F-1", "name": "D", "address": ("1 rue",), "children": ()}
    await post.known()
    await post.hears(HouseholdChanged(**family, version=2, active=True, locale="en"))
    await post.hears(HouseholdChanged(**family, version=1, active=True, locale="fr"))
    await post.probe.publish(post.confirmed())
    assert (await post.mails(1))[0]["Content-Language"] == "en"
    await post.wants(booking_recap=True)
    await post.probe.publish(post.confirmed())
    assert (await post.mails(2))[1]["Content-Language"] == "en"
    await post.wants(language="fr")
    await post.probe.publish(post.confirmed())
    assert (await post.mails(3))[2]["Content-Language"] == "fr"
    await post.wants(language=None)
    await post.probe.publish(post.confirmed())
    assert (await post.mails(4))[3]["Content-Language"] == "en"


async def test_who_may(post: Any) -> None:
    assert (await post.client.get("/mails", headers=post.parent())).status == 403
    assert (await post.client.get("/preferences")).status == 401
    assert (await post.client.put("/preferences", json={}, headers=post.staff())).status == 403
    wrong = await post.client.put("/preferences", json={"invoice_published": "often"}, headers=post.parent())
    assert wrong.status == 422


async def test_a_link_goes_to_its_address_once_and_its_secret_is_forgotten_here(post: Any) -> None:
    common = {"account_id": post.guardian, "first_name": "Camille", "expires_at": now() + timedelta(minutes=30)}
    token = "an-opaque-token-of-the-tests"
    common["sealed_token"] = Encryption(post.settings.link_secret, "LINK_SECRET").encrypt(token.encode()).decode()
    reset = ResetRequested(link_id=uuid4(), identifier="k7mqx2pd", email="camille@example.org", **common)
    given = EmailGiven(link_id=uuid4(), email="new@example.org", **common)
    for event in (reset, reset, given):
        await post.hears(event)
    by_recipient = {str(each["To"]): each for each in await post.mails(2)}
    body = by_recipient["camille@example.org"].get_body(("plain",))
    assert body is not None
    assert f"/codes-oublies/nouveau?jeton={token}" in body.get_content()
    assert "k7mqx2pd" in body.get_content()
    body = by_recipient["new@example.org"].get_body(("html",))
    assert body is not None
    assert f"/email/confirmation?jeton={token}" in body.get_content()
    query = "SELECT bool_and(NOT event ? 'sealed_token') FROM mail"
    await eventually(lambda: post.sql(query))


async def test_of_who_is_erased_no_name_nor_address_stays_but_that_mails_went(post: Any) -> None:
    await post.known()
    await post.hears(post.confirmed())
    await post.mails(1)
    post.mail_server.recipient_answer = "450 later"
    await post.hears(post.confirmed())
    await eventually(lambda: post.told("waiting", "450"))
    await post.wants(invoice_published=True)
    erased = {"version": 9, "first_name": "(effacé)", "last_name": "—", "email": None, "active": False, "erased": True}
    await post.hears(GuardianChanged(guardian_id=post.guardian, household_id=post.household, **erased))
    late = EmailGiven(
        link_id=uuid4(),
        account_id=post.guardian,
        first_name="Camille",
        email="camille@example.org",
        sealed_token="x",
        expires_at=now() + timedelta(minutes=30),
    )
    await post.hears(late)
    post.mail_server.recipient_answer = "250 OK"
    await post.mails(1)
    assert sorted((each["kind"], each["status"]) for each in await post.log()) == [
        ("ticket", "failed"),
        ("ticket", "sent"),
    ]
    for table in ("mail", "guardian", "bounce", "preference"):
        kept = await post.sql(f"SELECT coalesce(string_agg(row_to_json(t)::text, ' '), '') FROM {table} t")
        assert "amille" not in kept
        assert "example.org" not in kept


async def test_the_address_that_was_left_is_told_once(post: Any) -> None:
    left = EmailReplaced(account_id=post.guardian, first_name="Camille", email="before@example.org", replaced_at=now())
    for _ in range(2):
        await post.hears(left)
    (mail,) = await post.mails(1)
    assert (str(mail["To"]), "List-Unsubscribe" in mail) == ("before@example.org", False)
    assert await post.sql("SELECT count(*) FROM mail") == 1


async def test_every_mail_can_be_looked_at_where_examples_are_named_and_nowhere_else(post: Any) -> None:
    assert (await post.client.get("/previews")).status == 404
    assert (await post.client.get("/previews/ticket/fr")).status == 404
    open_one = build(post.settings.model_copy(update={"mail_examples": EXAMPLES}))
    async with TestClient(TestServer(open_one)) as client:
        listed = await (await client.get("/previews")).text()
        for kind in Kind:
            assert f"/previews/{kind}/en" in listed
            assert "<html" in await (await client.get(f"/previews/{kind}/en")).text()
            assert "Bonjour" in await (await client.get(f"/previews/{kind}/fr.txt")).text()
        assert (await client.get("/previews/nothing/fr")).status == 404
        assert (await client.get("/previews/ticket/xx")).status == 404


async def test_a_place_on_offer_is_told_once_with_its_last_instant_and_where_to_answer(post: Any) -> None:
    await post.known()
    child, day = uuid4(), date(2026, 12, 22)
    offer = PlaceOffered(
        household_id=post.household,
        child_id=child,
        child_first_name="Léa",
        activity_id=uuid4(),
        activity_label="Cantine",
        day=day,
        position=7,
        offered_at=now(),
        offered_until=datetime(2026, 12, 20, 17, 0, tzinfo=UTC),
    )
    await post.probe.publish(offer, times=2)
    await post.hears(offer.model_copy(update={"position": 8}))
    first, second = await post.mails(2)
    subject = str(first["Subject"]).replace("\u00a0", " ")
    assert subject == "Une place pour Léa le mardi 22 décembre 2026 : répondez avant le 20 décembre 2026 à 18 h 00"
    assert second["Subject"] == first["Subject"]
    text = first.get_body(("plain",))
    assert text is not None
    assert f"/planning/{child}/2026-12#offres" in text.get_content()


async def test_an_offer_that_nobody_answered_is_told_once_to_who_asked_for_nothing(post: Any) -> None:
    await post.known()
    child, at = uuid4(), datetime(2026, 12, 20, 17, 0, 5, tzinfo=UTC)
    lapsed = OfferLapsed(
        household_id=post.household,
        child_id=child,
        child_first_name="Léa",
        activity_id=uuid4(),
        activity_label="Cantine",
        day=date(2026, 12, 22),
        position=7,
        offered_until=at - timedelta(seconds=5),
        lapsed_at=at,
        book_until=at + timedelta(days=1),
    )
    await post.probe.publish(lapsed, times=2)
    await post.hears(lapsed)
    (mail,) = await post.mails(1)
    assert mail["Subject"] == "La place de Léa le mardi 22 décembre 2026 n'est plus gardée : Cantine"
    text = mail.get_body(("plain",))
    assert text is not None
    assert "cochez-le de nouveau avant le 21" in text.get_content().replace("\u00a0", " ")
    assert f"/planning/{child}/2026-12\r\n" in text.get_content()


async def test_days_that_staff_put_outside_of_an_enrolment_are_told_to_every_guardian_and_once(post: Any) -> None:
    """One asked for recaps and the other for nothing: each has one mail, and it says why."""
    await post.known()
    await post.wants(booking_recap=True)
    other = {"guardian_id": uuid4(), "household_id": post.household, "first_name": "Ana", "last_name": "D"}
    await post.hears(GuardianChanged(**other, version=1, email="ana@example.org", active=True))
    gone = {**other, "guardian_id": uuid4(), "email": "gone@example.org"}
    await post.hears(GuardianChanged(**gone, version=1, active=False))
    day = BookedDay(activity_id=uuid4(), activity_label="Cantine", day=date(2026, 12, 22), booked=False)
    cancelled = BookingsChanged(
        household_id=post.household,
        child_id=uuid4(),
        child_first_name="Léa",
        version=3,
        channel=Channel.TOWN_HALL,
        changed_by=uuid4(),
        changed_at=now(),
        days=(day,),
        waited=(day.model_copy(update={"day": date(2026, 12, 23)}),),
        enrolled=Span(first_day=date(2026, 9, 1), last_day=date(2026, 12, 18)),
    )
    await post.probe.publish(cancelled, times=2)
    mails = await post.mails(2)
    assert {mail["To"] for mail in mails} == {"camille@example.org", "ana@example.org"}
    for mail in mails:
        assert mail["Subject"] == "Cantine : des réservations de Léa sont annulées par la mairie"
        text = mail.get_body(("plain",))
        assert text is not None
        said = text.get_content().replace("\u00a0", " ")
        assert "du mardi 1er septembre 2026 au vendredi 18 décembre 2026" in said
        assert "☐ mardi 22 décembre 2026, Cantine : annulé" in said
        assert "☐ mercredi 23 décembre 2026, Cantine : plus de liste d'attente" in said
