"""The simulator's doors: the banks' services, the payer's page, and a page of switches."""

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

import jinja2
from aiohttp import web

from bank_simulator import lyra, soap
from bank_simulator.book import PARIS, Book, Operation
from bank_simulator.faults import CHOICES, LABELS, Faults
from bank_simulator.notices import Notices

BOOK = web.AppKey("book", Book)
FAULTS = web.AppKey("faults", Faults)
NOTICE = web.AppKey("notices", Notices)
SHOPS = web.AppKey("shops", lyra.Shops)

PAGE_OPENS_FOR = timedelta(minutes=15)
SLOW_SECONDS = 8
PIECE_BYTES, PIECE_PAUSE_SECONDS = 300, 0.05
CARDS = {
    "4970 1000 0000 0006": ("acceptée", "P", 0),
    "4970 1000 0000 0014": ("refusée", "R", 0),
    "4970 1000 0000 0022": ("acceptée, résultat après 8 secondes", "P", SLOW_SECONDS),
    "4970 1000 0000 0030": ("prélèvement bancaire accepté", "V", 0),
}

routes = web.RouteTableDef()
pages = jinja2.Environment(loader=jinja2.PackageLoader("bank_simulator"), autoescape=True)
pages.filters["euros"] = lambda cents: f"{int(cents) // 100},{int(cents) % 100:02d} €"


def build(folder: Path, shops: Sequence[lyra.Shop] = ()) -> web.Application:
    """The application, its book in ``folder``; ``shops`` are those of Lyra's form."""
    app = web.Application(client_max_size=65_536)
    known = lyra.Shops({shop["site_id"]: {"mode": "TEST", **shop} for shop in shops})
    app[BOOK], app[FAULTS], app[SHOPS] = Book(folder), Faults(), known
    app[NOTICE] = Notices(app[BOOK], app[FAULTS], known)

    async def run(app: web.Application) -> AsyncIterator[None]:
        yield
        await app[NOTICE].stop()

    app.cleanup_ctx.append(run)
    app.add_routes(routes)
    return app


def _page(name: str, *, status: int = 200, **values: object) -> web.Response:
    text = pages.get_template(name).render(**values)
    return web.Response(text=text, status=status, content_type="text/html", headers={"Cache-Control": "no-store"})


@routes.get("/health/ready")
async def ready(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ready"})


@routes.post("/tpa/services/securite")
async def service(request: web.Request) -> web.StreamResponse:
    status, body = soap.serve(await request.read(), request.app[BOOK], request.app[FAULTS])
    await asyncio.sleep(request.app[FAULTS].slow_seconds)  # what is said late was true when it was asked
    if not request.app[FAULTS].answer_in_pieces:
        return web.Response(body=body, status=status, content_type="text/xml", charset="utf-8")
    response = web.StreamResponse(status=status, headers={"Content-Type": "text/xml; charset=utf-8"})
    await response.prepare(request)
    for start in range(0, len(body), PIECE_BYTES):
        await response.write(body[start : start + PIECE_BYTES])
        await asyncio.sleep(PIECE_PAUSE_SECONDS)
    return response


@routes.get("/tpa/paiementws.web")
async def payer_page(request: web.Request) -> web.Response:
    operation = request.app[BOOK].operations.get(request.query.get("idop", ""))
    if operation is None or operation.is_lyra:
        return _page("message.html", status=404, message="Opération inconnue.")
    if operation.result is not None:
        return _page("message.html", status=409, message="Cette opération est terminée.", back=operation)
    if not operation.page_shown:
        if datetime.now(PARIS) - datetime.fromisoformat(operation.opened_at) > PAGE_OPENS_FOR:
            return _page("message.html", status=410, message="Le délai de 15 minutes est dépassé.", back=operation)
        operation.page_shown = True
        request.app[BOOK].write(operation)
    return _page("payer.html", operation=operation, cards=CARDS)


@routes.post("/tpa/payer")
async def pay(request: web.Request) -> web.Response:
    form = await request.post()
    operation = request.app[BOOK].operations.get(str(form.get("idop", "")))
    if operation is None:
        return _page("message.html", status=404, message="Opération inconnue.")
    if "abandon" in form:
        _finish(request.app, operation, "A", 0)
    else:
        digits = "".join(character for character in str(form.get("card", "")) if character.isdigit())
        card = next((known for number, known in CARDS.items() if number.replace(" ", "") == digits), None)
        if card is None:
            wrong = "Ce numéro n'est pas une carte d'essai."
            return _page("payer.html", status=422, operation=operation, cards=CARDS, wrong=wrong)
        _finish(request.app, operation, card[1], card[2])
    raise web.HTTPSeeOther(operation.back_url)


@routes.post("/vads-payment/")
async def lyra_page(request: web.Request) -> web.Response:
    form = {name: str(value) for name, value in (await request.post()).items()}
    shops = request.app[SHOPS]
    try:
        operation = lyra.open_page(form, shops, request.app[BOOK])
    except lyra.Refused as refused:
        return _page("message.html", status=400, message=str(refused))
    return _page("payer.html", operation=operation, cards=CARDS)


@routes.post("/api-payment/V4/Order/Get")
async def lyra_order(request: web.Request) -> web.Response:
    faults, shops = request.app[FAULTS], request.app[SHOPS]
    await asyncio.sleep(faults.slow_seconds)
    if faults.service_down:
        return web.Response(status=503, text="Service indisponible")
    try:
        given = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode("utf-8")
        site_id, _, password = given.partition(":")
        order_id = str((await request.json())["orderId"])
    except (ValueError, KeyError, TypeError):
        return web.json_response({"status": "ERROR", "answer": {"errorCode": "INT_009"}})
    shop = shops.get(site_id)
    if shop is None or shop["rest_password"] != password:
        return web.json_response({"status": "ERROR", "answer": {"errorCode": "INT_905"}}, status=401)
    return web.json_response(lyra.order(order_id, shop, list(request.app[BOOK].operations.values()), faults))


def _finish(app: web.Application, operation: Operation, result: str, seconds: float) -> None:
    """Decide once: a second press of the button neither pays nor notifies again."""
    if operation.result is not None:
        return
    seconds += app[FAULTS].answer_delay_seconds
    app[BOOK].decide(operation, result, datetime.now(PARIS) + timedelta(seconds=seconds))
    app[NOTICE].after_result(operation)


@routes.get("/")
async def switches(request: web.Request) -> web.Response:
    operations = list(reversed(request.app[BOOK].operations.values()))[:50]
    faults = asdict(request.app[FAULTS])
    return _page(
        "switches.html", faults=faults, labels=LABELS, choices=CHOICES, operations=operations, cards=CARDS, wrong=""
    )


@routes.post("/pannes")
async def change_switches(request: web.Request) -> web.Response:
    """The page's form: every switch at once, or all of them back to normal."""
    form = {name: str(value) for name, value in (await request.post()).items()}
    try:
        request.app[FAULTS].change(asdict(Faults())) if "normal" in form else request.app[FAULTS].change_by_form(form)
    except ValueError as error:
        return _page("message.html", status=422, message=f"Rien n'a changé. {error}")
    raise web.HTTPSeeOther("/")


@routes.post("/operations/{id_op}/notification")
async def notify_again(request: web.Request) -> web.Response:
    """The page's button: the same notification once more."""
    operation = request.app[BOOK].operations.get(request.match_info["id_op"])
    if operation is None:
        return _page("message.html", status=404, message="Opération inconnue.")
    request.app[NOTICE].send(operation)
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


@routes.post("/api/operations/{id_op}/{action:notify|pay|refuse|abandon}")
async def act(request: web.Request) -> web.Response:
    """Do from a test what a payer or the bank would do."""
    operation = request.app[BOOK].operations.get(request.match_info["id_op"])
    if operation is None:
        return web.json_response({"detail": "no such operation"}, status=404)
    action = request.match_info["action"]
    if action == "notify":
        request.app[NOTICE].send(operation)
    else:
        operation.page_shown = True
        _finish(request.app, operation, {"pay": "P", "refuse": "R", "abandon": "A"}[action], 0)
    return web.json_response(asdict(operation))
