"""The simulator, wired; its own page of switches, and the same by API."""

from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aiohttp import web

from bank_simulator import doors, stripe
from bank_simulator.book import Book, Operation
from bank_simulator.faults import CHOICES, LABELS, Faults
from bank_simulator.keys import BOOK, CARDS, FAULTS, KNOWN, NOTICE, Known, finish, page
from bank_simulator.notices import Notices

DEEDS = {"pay": "P", "debit": "V", "refuse": "R", "abandon": "A"}
LATER = {"dispute": "needs_response", "win": "won", "lose": "lost"}

routes = web.RouteTableDef()


def build(folder: Path, known: Known | None = None) -> web.Application:
    """The application, its book in ``folder``; ``known`` are those who have a contract with its banks."""
    app = web.Application(client_max_size=65_536)
    app[BOOK], app[FAULTS], app[KNOWN] = Book(folder), Faults(), known or Known()
    app[NOTICE] = Notices(app[BOOK], app[FAULTS], app[KNOWN].shops, app[KNOWN].contracts, app[KNOWN].accounts)

    async def run(app: web.Application) -> AsyncIterator[None]:
        yield
        await app[NOTICE].stop()

    app.cleanup_ctx.append(run)
    app.add_routes(routes)
    app.add_routes(doors.routes)
    return app


@routes.get("/health/ready")
async def ready(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ready"})


@routes.get("/")
async def switches(request: web.Request) -> web.Response:
    operations = list(reversed(request.app[BOOK].operations.values()))[:50]
    faults = asdict(request.app[FAULTS])
    told: dict[str, Any] = {
        "faults": faults,
        "labels": LABELS,
        "choices": CHOICES,
        "operations": operations,
        "cards": CARDS,
    }
    return page("switches.html", **told, deeds=_deeds)


def _deeds(operation: Operation) -> list[tuple[str, str]]:
    """The buttons of an operation."""
    again = [("notify", "Notifier encore")] if operation.result else []
    later = [
        ("refund", "Rembourser"),
        ("refund_fails", "Remboursement échoué"),
        ("dispute", "Contester"),
        ("win", "Contestation gagnée"),
        ("lose", "… perdue"),
    ]
    at_lyra = [("refund", "Rembourser"), ("cancel", "Annuler avant remise")]
    offered = {"stripe": later, "lyra": at_lyra}.get(operation.protocol, [])
    return again + (offered if operation.took_money else [])


@routes.post("/pannes")
async def change_switches(request: web.Request) -> web.Response:
    """The page's form: every switch at once, or all of them back to normal."""
    form = {name: str(value) for name, value in (await request.post()).items()}
    try:
        request.app[FAULTS].change(asdict(Faults())) if "normal" in form else request.app[FAULTS].change_by_form(form)
    except ValueError as error:
        return page("message.html", status=422, message=f"Rien n'a changé. {error}")
    raise web.HTTPSeeOther("/")


@routes.post("/operations/{id_op}/{action}")
async def do_by_page(request: web.Request) -> web.Response:
    """The page's buttons."""
    operation = request.app[BOOK].operations.get(request.match_info["id_op"])
    if operation is None or not _do(request.app, operation, request.match_info["action"], 0):
        return page("message.html", status=404, message="Opération inconnue, ou impossible à cette banque.")
    raise web.HTTPSeeOther("/")


@routes.get("/api/faults")
async def get_faults(request: web.Request) -> web.StreamResponse:
    return web.json_response(asdict(request.app[FAULTS]))


@routes.put("/api/faults")
async def put_faults(request: web.Request) -> web.StreamResponse:
    try:
        request.app[FAULTS].change(await request.json())
    except (ValueError, AttributeError) as error:
        return web.json_response({"detail": str(error)}, status=422)
    return await get_faults(request)


@routes.get("/api/book")
async def get_book(request: web.Request) -> web.Response:
    return web.json_response([asdict(each) for each in request.app[BOOK].operations.values()])


@routes.delete("/api/book")
async def forget(request: web.Request) -> web.StreamResponse:
    """Be as on the first day: no operation, no call on its way, every switch normal."""
    await request.app[NOTICE].stop()
    request.app[BOOK].forget()
    request.app[FAULTS].change(asdict(Faults()))
    return await get_book(request)


@routes.post("/api/operations/{id_op}/{action}")
async def act(request: web.Request) -> web.Response:
    """Do from a test what a payer or the bank would do; ``?cents=`` of a refund or a dispute."""
    operation = request.app[BOOK].operations.get(request.match_info["id_op"])
    if operation is None:
        return web.json_response({"detail": "no such operation"}, status=404)
    if not _do(request.app, operation, request.match_info["action"], int(request.query.get("cents", "0"))):
        return web.json_response({"detail": "this cannot be done of it"}, status=422)
    return web.json_response(asdict(operation))


def _do(app: web.Application, operation: Operation, action: str, cents: int) -> bool:
    """Whether it could be done. At Stripe a payer who leaves ends nothing, and only a slow means ends in a refusal."""
    at_stripe = operation.protocol == "stripe"
    if action == "notify":
        app[NOTICE].send(operation)
    elif action in DEEDS:
        operation.page_shown = True
        if at_stripe and (action == "abandon" or not stripe.is_open(operation)):
            return True
        finish(app, operation, "Z" if at_stripe and action == "refuse" else DEEDS[action], 0)
    elif action == "refund" and operation.took_money and operation.protocol in {"stripe", "lyra"}:
        left = operation.cents - operation.refunded_cents
        operation.refunds[f"dashboard {len(operation.refunds)}"] = min(cents or left, left)
        app[BOOK].write(operation)
        app[NOTICE].after(operation, "refund")
    elif operation.protocol == "lyra" and action == "cancel" and operation.took_money:
        operation.cancelled = True
        app[BOOK].write(operation)
        app[NOTICE].after(operation, "cancelled")
    elif at_stripe and action == "refund_fails" and (made := [*operation.refunds.keys() - set(operation.failed)]):
        operation.failed.append(max(made, key=list(operation.refunds).index))
        app[BOOK].write(operation)
        app[NOTICE].after(operation, "refund_failed")
    elif at_stripe and action in LATER and operation.took_money:
        operation.disputed_cents = cents or operation.disputed_cents
        app[NOTICE].after(operation, LATER[action])
    else:
        return False
    return True
