"""Bad input and faults on the whole portal: one clear answer, nothing lost, nothing doubled."""

import asyncio
import re
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from chassis.testing import eventually
from local_stack.demo import CANTEEN, STRIKE, id_of

pytestmark = [pytest.mark.faults, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def signed_in(identifier: str) -> Any:
    return pytest.mark.parametrize("family", [identifier], indirect=True)


@signed_in("demo04")
async def test_bad_input_gets_one_clear_answer(family: Any) -> None:
    gateway = family.stack.gateway_url
    assert (await family.get("/planning/00000000-0000-0000-0000-000000000000/2026-12"))[0] == 404
    assert (await family.get("/mairie"))[0] == 403
    assert (await family.post("/paiements", 'name="form_token" value="forged"', [("facture", "x")]))[0] == 403
    _, page = await family.get("/factures")
    assert (await family.post("/paiements", page, [("facture", "not-an-invoice"), ("key", "k")]))[0] == 422
    for path, body, status in (
        ("/webhooks/nobank", b"idop=abcdefgh", 404),
        ("/webhooks/payfip", b"idop=00000000-0000-0000-0000-000000000000", 404),
        ("/webhooks/payfip", b"\xff", 400),
        ("/webhooks/payfip", b"x" * 10_000_000, 413),
        ("/connexion", b"x" * 10_000_000, 413),
    ):
        async with family.http.post(gateway + path, data=body, headers=FORM) as response:
            assert response.status == status, path
    async with (
        aiohttp.ClientSession(cookies={"preau": "forged" * 8}) as forged,
        forged.get(f"{gateway}/planning", allow_redirects=False) as response,
    ):
        assert response.headers["Location"].startswith("/connexion")


@signed_in("demo04")
async def test_another_name_of_the_machine_leads_to_the_portals_own(family: Any) -> None:
    gateway = family.stack.gateway_url
    elsewhere = f"{gateway.replace('127.0.0.1', 'localhost')}/factures?x=1"
    async with family.http.get(elsewhere, allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (303, f"{gateway}/factures?x=1")


@signed_in("demo04")
async def test_auth_away_is_told_as_such_and_signs_nobody_out(family: Any) -> None:
    await family.stack.kill("auth")
    status, page = await family.get("/factures")
    assert status == 503
    assert "momentanément indisponible" in page
    await family.stack.restart("auth")
    assert (await family.get("/factures"))[0] == 200


@signed_in("demo04")
@pytest.mark.parametrize(
    ("name", "missing"), [("planning", "Le planning"), ("billing", "Les factures"), ("notifier", "Les messages")]
)
async def test_a_service_away_takes_its_part_of_the_first_page_and_no_other(
    family: Any, name: str, missing: str
) -> None:
    whole = (await family.get("/"))[1]
    assert "Mes enfants" in whole
    assert "momentanément" not in whole
    await family.stack.kill(name)
    status, page = await family.get("/")
    assert status == 200
    assert page.count("momentanément") == 1
    assert missing in page
    await family.stack.restart(name)
    assert (await family.get("/"))[1].count("momentanément") == 0


@signed_in("demo04")
async def test_a_closed_day_and_a_past_day_are_refused_with_their_reason(family: Any) -> None:
    _, children = await family.get("/enfants")
    child = re.findall(r"/planning/([\w-]{36})", children)[0]
    closed = await family.sql("planning", "SELECT day FROM closure WHERE reason = $1", STRIKE)
    past = await family.sql("planning", "SELECT max(day) FROM booking WHERE child_id = $1 AND booked", UUID(child))
    _, page = await family.get(f"/planning/{child}")
    fields = [("version", re.findall(r'name="version" value="(\d+)"', page)[0]), ("key", "closed-and-past")]
    fields += [("shown", f"{id_of(CANTEEN)}|{closed}|0|0"), ("booked", f"{id_of(CANTEEN)}|{closed}")]
    fields += [("shown", f"{id_of(CANTEEN)}|{past}|1|0")]
    status, text, _ = await family.post(f"/planning/{child}/{past:%Y-%m}", page, fields)
    assert status == 200
    assert STRIKE in text
    assert "délai dépassé" in text
    assert "Enregistré</h2>" not in text


@signed_in("demo05")
async def test_three_duplicates_and_one_late_notification_settle_and_mail_once(family: Any) -> None:
    await family.bank_faults(notice="never")
    id_op = await family.begin()
    await family.bank(id_op, "pay")
    assert await asyncio.gather(*(family.notify(id_op) for _ in range(4))) == [200] * 4
    await family.is_settled_once(id_op)
    assert await family.notify(id_op) == 200
    await family.is_settled_once(id_op)


@signed_in("demo06")
async def test_the_broker_is_stopped_between_the_notification_and_the_event(family: Any) -> None:
    await family.bank_faults(notice="never")
    id_op = await family.begin()
    await family.stack.rabbit.stop()
    await family.bank(id_op, "pay")
    assert await family.notify(id_op) == 200
    payment_id = await family.payment_id(id_op)

    async def confirmed() -> bool:
        query = "SELECT status = 'confirmed' FROM payment WHERE payment_id = $1"
        return bool(await family.sql("payment-gateway", query, payment_id))

    await eventually(confirmed)
    assert await family.sql("payment-gateway", "SELECT count(*) FROM outbox WHERE published_at IS NULL") == 1
    await family.stack.rabbit.start()
    await family.is_settled_once(id_op)


KILLED = [
    ("demo07", "gateway"),
    ("demo08", "auth"),
    ("demo09", "planning"),
    ("demo10", "billing"),
    ("demo11", "payment-gateway"),
    ("demo12", "notifier"),
]


@pytest.mark.parametrize(("family", "name"), KILLED, indirect=["family"])
async def test_a_service_killed_in_the_middle_of_a_payment(family: Any, name: str) -> None:
    id_op = await family.begin()
    await family.stack.kill(name)
    await family.bank(id_op, "pay")
    await asyncio.sleep(0.5)
    await family.stack.restart(name)
    await family.get(f"/paiements/{await family.payment_id(id_op)}/retour")
    await family.is_settled_once(id_op)
