"""The three days: an opening morning, an invoice evening, and an hour of a normal day."""

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from chassis.clock import today
from local_stack import demo
from local_stack.families import sql
from tests.load.harness.parents import CANTEEN, FREE, TOKEN, Parent
from tests.load.scenarios.steps import Steps, VisitOver
from tests.load.scenarios.tenant import Town, typed

OPENING_SECONDS = 120
ARRIVALS_SHARE = 0.9
"""Of the two minutes: who comes last wants some seconds too."""
PARENTS_IN_FULL = 2_500
DAYS_BOOKED = 4
READS_SECONDS = (0.5, 3.0)
"""How long somebody looks at a page before the next step."""
MAIL_READ_SECONDS = 20.0
TOLD_SECONDS = 60
VISITS_IN_AN_HOUR = 3_600
CONFIRMED = "TICKET"
Path = Callable[[Town, Steps, Parent], Coroutine[Any, Any, None]]


async def come(visits: Iterable[tuple[float, Coroutine[Any, Any, None]]]) -> None:
    """Everybody at their moment, in seconds from now; until the last has left."""

    async def later(seconds: float, visit: Coroutine[Any, Any, None]) -> None:
        await asyncio.sleep(seconds)
        await visit

    await asyncio.gather(*(later(*each) for each in visits))


async def read(town: Town) -> None:
    await asyncio.sleep(town.draw.uniform(*READS_SECONDS))


async def enter(town: Town, steps: Steps, parent: Parent) -> None:
    """The sign-in page, the two codes, the first page."""
    crowd = town.crowd
    await steps.take("sign-in page", crowd.sign_in_page(parent))
    await read(town)
    await steps.take("the two codes", crowd.sign_in(parent))
    await steps.take("first page", crowd.home(parent))


async def books(town: Town, steps: Steps, parent: Parent) -> None:
    """Sign in, open the month, tick some days of the canteen, save."""
    await enter(town, steps, parent)
    await read(town)
    page = await steps.take("a month", town.crowd.open_month(parent))
    free = [each for each in FREE.findall(page) if each.startswith(CANTEEN)][:DAYS_BOOKED]
    await read(town)
    cells = [("shown", f"{each}|0|0") for each in free] + [("booked", each) for each in free]
    await steps.take("days saved, recap", town.crowd.save(parent, cells))
    parent.is_booked = True


async def opening(town: Town) -> Steps:
    """Booking opens: all parents come within two minutes, at the same rate whatever their number."""
    steps = Steps("opening morning")
    seconds = OPENING_SECONDS * len(town.parents) / PARENTS_IN_FULL * ARRIVALS_SHARE
    before = await internet(town)
    await come((town.draw.uniform(0, seconds), steps.visit(books, town, each)) for each in town.parents)
    saved = await internet(town) - before
    if saved != (wanted := DAYS_BOOKED * len(steps.spans["days saved, recap"])):
        steps.wrong[f"{wanted} days were said to be saved, {saved} are"] += 1
    return steps


async def internet(town: Town) -> int:
    """How many changes of a day parents made so far."""
    query = "SELECT count(*) FROM booking_change WHERE channel = 'internet'"
    return int((await sql(town.stack, "planning", query))[0]["count"])


async def pays(town: Town, steps: Steps, parent: Parent, link: str) -> None:
    """The link of the mail, the codes, the invoice, the bank, and back until the page says that it is paid."""
    _, leads = await steps.take("the mail's link", town.follow(parent, "GET", link))
    assert leads, f"{link} shows invoices to nobody"
    await enter(town, steps, parent)
    await pay(town, steps, parent)


async def pay(town: Town, steps: Steps, parent: Parent) -> None:
    """One invoice, the first of those to pay."""
    gateway = town.stack.gateway_url
    page, _ = await steps.take("invoices", town.follow(parent, "GET", f"{gateway}/factures"))
    chosen = re.findall(r'name="facture" value="([\w-]+)"', page)
    if not chosen:
        return
    await read(town)
    address = f"{gateway}/factures/recapitulatif?facture={chosen[0]}"
    recap, _ = await steps.take("invoice recap", town.follow(parent, "GET", address))
    fields = {name: values[-1] for name, values in typed(recap).items()}
    amount = re.search(r'name="amount" value="([^"]*)"', recap)
    fields |= {"amount": amount[1]} if amount else {}
    _, bank = await steps.take("to the bank", town.follow(parent, "POST", f"{gateway}/paiements", data=fields))
    page, _ = await steps.take("the bank's page (not ours)", town.follow(parent, "GET", bank))
    await read(town)
    fields = {name: values[-1] for name, values in typed(page).items()}
    url = f"{town.stack.url('bank')}/tpa/payer"
    _, back = await steps.take("paying there (not ours)", town.follow(parent, "POST", url, data=fields))
    _, leads = await steps.take("coming back", town.follow(parent, "GET", back))
    await steps.take("until it says paid", told(town, parent, gateway + leads.removeprefix(gateway)))


async def told(town: Town, parent: Parent, url: str) -> None:
    """The payment's page, again and again as it does without scripts; ``TimeoutError`` if it never says so."""
    async with asyncio.timeout(TOLD_SECONDS):
        while CONFIRMED not in (await town.follow(parent, "GET", url))[0]:
            await asyncio.sleep(1)


async def evening(town: Town) -> Steps:
    """Invoices are published, each parent gets a mail, and follows it to the bank within some seconds."""
    steps, known = Steps("invoice evening"), {each.email: each for each in town.parents}
    visits, left = list[asyncio.Task[None]](), set(known)
    everybody = asyncio.Event()

    def arrived(email: str, link: str) -> None:
        if email in left:
            left.discard(email)
            visit = come([(town.draw.uniform(0, MAIL_READ_SECONDS), steps.visit(pays, town, known[email], link))])
            visits.append(asyncio.create_task(visit))
        if not left:
            everybody.set()

    for parent in town.parents:
        parent.session = ""
    town.post.arrived = arrived
    await demo.owe(town.stack)
    try:
        async with asyncio.timeout(120 + len(known)):
            await everybody.wait()
    except TimeoutError:
        steps.wrong[f"{len(left)} parents had no mail"] += 1
    await asyncio.gather(*visits)
    return steps


async def looks(town: Town, steps: Steps, parent: Parent) -> None:
    """What most come for."""
    await steps.take("first page", town.crowd.home(parent))
    await read(town)
    await steps.take("a month", town.crowd.open_month(parent))


async def changes(town: Town, steps: Steps, parent: Parent) -> None:
    """One day of the canteen, booked or cancelled."""
    page = await steps.take("a month", town.crowd.open_month(parent))
    shown = re.findall(rf'name="shown" value="({CANTEEN}\|[\d-]+)\|(\d)\|0"', page)
    if not shown:
        return
    await read(town)
    cell, was = town.draw.choice(shown)
    cells = [("shown", f"{cell}|{was}|0")] + ([] if int(was) else [("booked", cell)])
    await steps.take("a day changed, recap", town.crowd.save(parent, cells))


async def reads_invoice(town: Town, steps: Steps, parent: Parent) -> None:
    """The invoices, and the last one as PDF."""
    page = await steps.take("invoices", town.crowd.open(parent, "/factures", f"{today().year}-"))
    found = re.findall(r'href="(/factures/[\w-]+/pdf)"', page)
    url = town.stack.gateway_url + found[0]

    async def pdf() -> None:
        async with town.http.get(url, headers={"Cookie": f"preau={parent.session}"}) as answer:
            content = await answer.read()
            assert content.startswith(b"%PDF"), f"{answer.status} instead of a PDF"

    await steps.take("an invoice's PDF", pdf())


async def pays_late(town: Town, steps: Steps, parent: Parent) -> None:
    await pay(town, steps, parent)


async def comes_anew(town: Town, steps: Steps, parent: Parent) -> None:
    """Signs in on another day, reads, and signs out."""
    await enter(town, steps, parent)
    page = await steps.take("account", town.crowd.open(parent, "/compte", "Mon compte"))
    form = {"form_token": TOKEN.findall(page)[0]}
    url = f"{town.stack.gateway_url}/deconnexion"
    await steps.take("sign out", town.follow(parent, "POST", url, data=form))
    parent.session = ""


async def by_program(town: Town, steps: Steps, parent: Parent) -> None:
    """An application on a telephone."""
    base, headers = f"{town.stack.gateway_url}/api/v1", {"Authorization": f"Bearer {parent.session}"}

    async def get(path: str) -> Any:
        async with town.http.get(base + path, headers=headers) as answer:
            assert answer.status == 200, f"{answer.status} {path}"
            return await answer.json()

    children = await steps.take("API, children", get("/children"))
    child = children["children"][0]["child_id"]
    await steps.take("API, a month", get(f"/children/{child}/months/{town.crowd.month}"))
    await steps.take("API, invoices", get("/invoices"))


MIX: tuple[tuple[int, Path], ...] = (
    (35, looks),
    (25, changes),
    (15, reads_invoice),
    (10, comes_anew),
    (10, by_program),
    (5, pays_late),
)
"""So many of a hundred visits."""


async def normal(town: Town, minutes: float, *, visits_a_second: float) -> Steps:
    """Visits of every kind, each by somebody who is not there already, as they come by chance."""
    steps, free = Steps("a normal day"), list(town.parents)
    town.post.arrived = lambda _email, _link: None
    kinds, weights = [path for _, path in MIX], [share for share, _ in MIX]

    async def somebody(path: Path) -> None:
        parent = free.pop(town.draw.randrange(len(free)))
        try:
            if not parent.session:
                await town.crowd.sign_in(parent)
            await path(town, steps, parent)
            steps.visits += 1
        except VisitOver:
            pass
        finally:
            free.append(parent)

    at, visits = 0.0, list[tuple[float, Coroutine[Any, Any, None]]]()
    while (at := at + town.draw.expovariate(visits_a_second)) < minutes * 60:
        visits.append((at, somebody(town.draw.choices(kinds, weights)[0])))
    await come(visits)
    return steps
