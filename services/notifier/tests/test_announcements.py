"""The town hall's messages: shown when and to whom they are for, mailed once, in the order of what is urgent."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

from aiohttp.test_utils import TestClient, TestServer

from chassis.clock import now
from chassis.testing import eventually
from contracts.events.auth import GuardianChanged, HouseholdChanged, HouseholdChild
from contracts.identity import Role
from notifier.app import build


def payload(markdown: str, *, hours: float = -1, **more: Any) -> dict[str, Any]:
    return {"markdown": markdown, "starts_at": (now() + timedelta(hours=hours)).isoformat(), **more}


async def save(post: Any, body: dict[str, Any], role: Role = Role.CLERK) -> Any:
    return await post.client.post("/announcements", json=body, headers=post.staff(role))


async def above_the_form(post: Any) -> str:
    text: str = (await (await post.client.get("/announcement")).json())["markdown"]
    return text


async def school(post: Any, household: UUID, name: str) -> None:
    child = HouseholdChild(
        child_id=uuid4(), first_name="Léa", last_name="D", birth_date=date(2019, 1, 1), school=name, class_name="CP"
    )
    await post.hears(
        HouseholdChanged(
            household_id=household,
            version=1,
            reference=household.hex[:8],
            name="Famille",
            address=("1 rue",),
            active=True,
            children=(child,),
        )
    )


async def guardian(post: Any, household: UUID, email: str | None, *, active: bool = True) -> None:
    await post.hears(
        GuardianChanged(
            guardian_id=uuid4(),
            household_id=household,
            version=1,
            first_name="Ana",
            last_name="D",
            email=email,
            active=active,
        )
    )


async def test_a_message_is_shown_from_its_start_to_its_end_and_archived(post: Any) -> None:
    assert await above_the_form(post) == ""
    assert (await save(post, payload("**Bonjour**"))).status == 201
    planned = await (await save(post, payload("Demain", hours=24))).json()
    assert [each["state"] for each in planned["announcements"]] == ["planned", "shown"]
    assert await above_the_form(post) == "**Bonjour**"
    shown = planned["announcements"][1]["announcement_id"]
    ended = await post.client.post(f"/announcements/{shown}/end", headers=post.staff())
    assert [each["state"] for each in (await ended.json())["announcements"]] == ["planned", "ended"]
    assert await above_the_form(post) == ""
    assert (await post.client.post(f"/announcements/{shown}/end", headers=post.staff())).status == 404


async def test_what_cannot_be_a_message(post: Any) -> None:
    before = (now() - timedelta(hours=2)).isoformat()
    for body in (payload(""), payload("x" * 10_001), payload("x", ends_at=before)):
        assert (await save(post, body)).status == 422
    assert (await save(post, payload("Non"), Role.CASHIER)).status == 403
    assert (await post.client.get("/announcements", headers=post.parent())).status == 403
    assert (await post.client.get(f"/households/{uuid4()}/announcements", headers=post.parent())).status == 404


async def test_a_schools_message_is_for_its_families(post: Any) -> None:
    await school(post, post.household, "Prévert")
    await save(post, payload("Pour tous"))
    archive = await (await save(post, payload("Pour Prévert", school="Prévert"))).json()
    assert archive["schools"] == ["Prévert"]
    nobody_goes_there = await save(post, payload("Pour Pagnol", school="Pagnol"))
    assert (nobody_goes_there.status, (await nobody_goes_there.json())["errors"][0]["field"]) == (422, "school")
    assert await above_the_form(post) == "Pour tous"
    path = f"/households/{post.household}/announcements"
    seen = await (await post.client.get(path, headers=post.parent())).json()
    assert [each["markdown"] for each in seen["announcements"]] == ["Pour Prévert", "Pour tous"]


async def test_a_message_is_mailed_once_to_each_reader_by_two_replicas(post: Any) -> None:
    await post.known()
    await school(post, post.household, "Prévert")
    other = uuid4()
    await school(post, other, "Pagnol")
    for number in range(5):
        await guardian(post, post.household, f"reader{number}@example.org")
    await guardian(post, post.household, None)
    await guardian(post, post.household, "gone@example.org", active=False)
    await guardian(post, other, "elsewhere@example.org")
    async with TestClient(TestServer(build(post.settings))):
        await save(post, payload("# Grève\n\nLa *cantine* est **fermée** jeudi.", school="Prévert", by_mail=True))
        mails = await post.mails(6)
    assert {mail["To"] for mail in mails} == {"camille@example.org", *(f"reader{n}@example.org" for n in range(5))}
    html = mails[0].get_body(("html",)).get_content()
    assert "<em>cantine</em>" in html
    archive = await (await post.client.get("/announcements", headers=post.staff())).json()
    assert (archive["announcements"][0]["mails"], archive["announcements"][0]["mails_sent"]) == (6, 6)


async def test_who_left_gets_no_more_of_them(post: Any) -> None:
    await post.known()
    await post.wants(announcements=False)
    await save(post, payload("Bonjour", by_mail=True))
    await eventually(lambda: post.sql("SELECT bool_and(mailed_at IS NOT NULL) FROM announcement"))
    await post.mails(0)


async def test_a_planned_message_waits_and_one_that_was_ended_is_not_mailed(post: Any) -> None:
    await post.known()
    archive = await (await save(post, payload("Demain", hours=24, by_mail=True))).json()
    planned = archive["announcements"][0]["announcement_id"]
    await post.client.post(f"/announcements/{planned}/end", headers=post.staff())
    await post.sql("UPDATE announcement SET starts_at = now() - interval '1 day', ends_at = now()")
    await post.sql("SELECT pg_notify('announcement_saved', '')")
    await save(post, payload("Maintenant", by_mail=True))
    (mail,) = await post.mails(1)
    assert "Maintenant" in mail.get_body(("plain",)).get_content()


async def test_a_ticket_goes_before_a_message_to_everybody(post: Any) -> None:
    await post.known()
    await post.client.close()
    for kind, priority, event in (
        ("announcement", 2, '{"markdown": "x"}'),
        ("ticket", 0, post.confirmed().model_dump_json()),
    ):
        await post.sql(
            "INSERT INTO mail (intent, kind, recipient, first_name, domain, person_id, event, priority, created_at, "
            "try_at) VALUES ($1, $1, 'a@example.org', 'Ana', 'example.org', $2, $3::text::jsonb, $4, now(), now())",
            kind,
            post.guardian,
            event,
            priority,
        )
    async with TestClient(TestServer(build(post.settings.model_copy(update={"mails_a_minute_a_domain": 1})))):
        (mail,) = await post.mails(1)
    assert "T-2026-000001" in mail["Subject"]


async def test_a_message_saved_three_times_by_one_form_is_one_message_and_mailed_once(post: Any) -> None:
    household = uuid4()
    await guardian(post, household, "ana@example.org")
    headers = {**post.staff(Role.CLERK), "Idempotency-Key": "one-form-1"}
    body = {"markdown": "La cantine est fermée.", "by_mail": True}
    answers = [await post.client.post("/announcements", json=body, headers=headers) for _ in range(3)]
    assert [each.status for each in answers] == [201, 201, 201]
    assert [len((await each.json())["announcements"]) for each in answers] == [1, 1, 1]
    again = {**headers, "Idempotency-Key": "one-form-2"}
    assert (
        len((await (await post.client.post("/announcements", json=body, headers=again)).json())["announcements"]) == 2
    )


async def test_a_message_that_would_end_before_now_is_refused(post: Any) -> None:
    body = {"markdown": "Trop tard.", "ends_at": (now() - timedelta(hours=1)).isoformat()}
    assert (await save(post, body)).status == 422
