"""Bad input and faults on the whole portal: one clear answer, nothing lost, nothing doubled."""

import asyncio
import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from playwright.async_api import Browser, Page, expect

from chassis.clock import today
from chassis.languages import catalogue
from chassis.testing import eventually
from contracts.model import Language
from gateway.languages import FOLDER
from local_stack.demo import CANTEEN, SECRET, STRIKE, id_of

pytestmark = [pytest.mark.faults, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]
OWN_SERVERS = True


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
    status, page = await family.get("/compte")
    assert status == 503
    assert "La connexion est momentanément indisponible" in page
    await family.stack.restart("auth")
    assert (await family.get("/factures"))[0] == 200


MONTH, CHANGES, RECAP, PAYMENT = "/planning/{month}", "/modifications", "/factures/recapitulatif", "/paiements"
NO_PLANNING = "Le planning est momentanément indisponible"
NO_INVOICES = "Les factures sont momentanément indisponibles"
MISSING = {
    "planning": {
        "/": f"{NO_PLANNING}.",
        "/compte": "Momentanément indisponible.",
        **dict.fromkeys(("/enfants", MONTH, CHANGES), NO_PLANNING),
    },
    "billing": {
        "/": f"{NO_INVOICES}.",
        "/factures": f"{NO_INVOICES}.",
        RECAP: NO_INVOICES,
        MONTH: "Les prix sont momentanément indisponibles.",
    },
    "payment-gateway": {PAYMENT: "Le paiement en ligne est momentanément indisponible"},
    "notifier": {
        "/": "Les messages de la mairie sont momentanément indisponibles.",
        "/factures": "Vos choix de mails sont momentanément indisponibles.",
        PAYMENT: "Les mails partis pour ce paiement sont momentanément indisponibles.",
    },
}
"""What each page says to be missing while a service is away; every other page is whole."""
AWAY = {Language.FR: "omentanément indisponible", Language.EN: "ot available at the moment"}


async def reader(browser: Browser, family: Any, language: Language, *, scripts: bool) -> Page:
    """Somebody of the family who is signed in and reads that language: on a telephone with scripts, else on a desk."""
    context = await browser.new_context(
        viewport={"width": 390 if scripts else 1280, "height": 844}, java_script_enabled=scripts, locale="fr-FR"
    )
    page = await context.new_page()
    await page.goto(f"{family.stack.gateway_url}/connexion")
    await page.locator("#identifier").fill(family.identifier)
    await page.locator("#secret").fill(SECRET)
    await page.locator("main button.button").click()
    if await page.locator("html").get_attribute("lang") != language:
        await page.locator(f".foot button[lang={language}]").click()
    await expect(page.locator("html")).to_have_attribute("lang", language)
    return page


async def pages_of(family: Any) -> dict[str, str]:
    """The addresses of the pages of a family that has an invoice to pay, and a payment that was refused."""
    id_op = await family.begin()
    await family.bank(id_op, "refuse")

    async def payable() -> list[str]:
        return re.findall(r'name="facture" value="([\w-]+)"', (await family.get("/factures"))[1])

    invoice = (await eventually(payable))[0]
    child = re.findall(r"/planning/([\w-]{36})", (await family.get("/enfants"))[1])[0]
    month = f"/planning/{child}/{today() + timedelta(days=31):%Y-%m}"
    return {
        **{path: path for path in ("/", "/enfants", "/factures", "/compte", "/aide")},
        **{MONTH: month, CHANGES: f"/planning/{child}/modifications", RECAP: f"{RECAP}?facture={invoice}"},
        PAYMENT: f"/paiements/{await family.payment_id(id_op)}",
    }


@pytest.mark.browser
@signed_in("demo03")
async def test_a_service_away_takes_its_part_of_each_page_and_no_other(family: Any, browser: Browser) -> None:
    pages = await pages_of(family)
    french = await reader(browser, family, Language.FR, scripts=True)
    english = await reader(browser, family, Language.EN, scripts=False)
    for name, missing in MISSING.items():
        await family.stack.kill(name)
        for page, language in ((french, Language.FR), (english, Language.EN)):
            for path, address in pages.items():
                response = await page.goto(family.stack.gateway_url + address)
                text = await page.locator("main").inner_text()
                sentence = catalogue(FOLDER, language).said(missing.get(path, ""))
                assert sentence in text, (name, path)
                assert text.count(AWAY[language]) == (path in missing), (name, path)
                is_whole = sentence != await page.locator("h1").inner_text()
                assert response is not None
                assert response.status == (200 if is_whole else 503), (name, path)
                await expect(page.locator(".leave")).to_be_visible()
                await expect(page.locator("nav a")).to_have_count(4)
        await family.stack.restart(name)
    for page in (french, english):
        await page.context.close()


@pytest.mark.browser
@signed_in("demo03")
async def test_what_was_ticked_or_chosen_while_a_service_was_away_is_there_when_it_is_back(
    family: Any, browser: Browser
) -> None:
    pages = await pages_of(family)
    page = await reader(browser, family, Language.FR, scripts=False)
    await page.goto(family.stack.gateway_url + pages[MONTH])
    box = page.locator(".cell.free input[data-was='0']").nth(2)
    day = await box.get_attribute("value")
    await box.check()
    await family.stack.kill("planning")
    await page.get_by_role("button", name="Valider mes modifications").click()
    await page.get_by_role("link", name="Réessayer").click()
    await expect(page.get_by_role("heading", name=NO_PLANNING)).to_be_visible()
    await family.stack.restart("planning")
    await page.get_by_role("link", name="Réessayer").click()
    await expect(page.locator(f"input[name=booked][value='{day}']")).to_be_checked()
    await page.get_by_role("button", name="Valider mes modifications").click()
    await expect(page.get_by_role("heading", name="Enregistré")).to_be_visible()
    await page.goto(family.stack.gateway_url + pages[RECAP])
    await family.stack.kill("payment-gateway")
    await page.get_by_role("button", name="Payer en ligne").click()
    await expect(page.get_by_role("heading", name="Le paiement en ligne est momentanément")).to_be_visible()
    await family.stack.restart("payment-gateway")
    await page.get_by_role("link", name="Réessayer").click()
    await page.get_by_role("button", name="Reprendre le paiement").click()  # the checkout was opened already
    await expect(page.get_by_label("Numéro de carte")).to_be_visible()
    await page.context.close()


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
