"""The banks' doors: each one's service and page, as its protocol wants them."""

import asyncio
import base64
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from bank_simulator import lyra, paybox, soap, stripe
from bank_simulator.book import PARIS, Operation
from bank_simulator.keys import BOOK, CARDS, FAULTS, KNOWN, NOTICE, finish, page

PAGE_OPENS_FOR = timedelta(minutes=15)
PIECE_BYTES, PIECE_PAUSE_SECONDS = 300, 0.05

routes = web.RouteTableDef()


async def _answer(request: web.Request, body: bytes, content_type: str, status: int = 200) -> web.StreamResponse:
    """The service's answer, in pieces when the switch says so."""
    if not request.app[FAULTS].answer_in_pieces:
        return web.Response(body=body, status=status, content_type=content_type, charset="utf-8")
    response = web.StreamResponse(status=status, headers={"Content-Type": f"{content_type}; charset=utf-8"})
    await response.prepare(request)
    for start in range(0, len(body), PIECE_BYTES):
        await response.write(body[start : start + PIECE_BYTES])
        await asyncio.sleep(PIECE_PAUSE_SECONDS)
    return response


@routes.post("/tpa/services/securite")
async def payfip_service(request: web.Request) -> web.StreamResponse:
    status, body = soap.serve(await request.read(), request.app[BOOK], request.app[FAULTS])
    await asyncio.sleep(request.app[FAULTS].slow_seconds)  # what is said late was true when it was asked
    return await _answer(request, body, "text/xml", status)


@routes.get("/tpa/paiementws.web")
async def payfip_page(request: web.Request) -> web.Response:
    operation = request.app[BOOK].operations.get(request.query.get("idop", ""))
    if operation is None or operation.protocol != "payfip":
        return page("message.html", status=404, message="Opération inconnue.")
    if operation.result is not None:
        return page("message.html", status=409, message="Cette opération est terminée.", back=operation)
    if not operation.page_shown:
        if datetime.now(PARIS) - datetime.fromisoformat(operation.opened_at) > PAGE_OPENS_FOR:
            return page("message.html", status=410, message="Le délai de 15 minutes est dépassé.", back=operation)
        _shown(request.app, operation)
    return page("payer.html", operation=operation, cards=CARDS)


def _shown(app: web.Application, operation: Operation) -> None:
    operation.page_shown = True
    app[BOOK].write(operation)


@routes.post("/vads-payment/")
async def lyra_page(request: web.Request) -> web.Response:
    form = {name: str(value) for name, value in (await request.post()).items()}
    try:
        operation = lyra.open_page(form, request.app[KNOWN].shops, request.app[BOOK])
    except lyra.Refused as refused:
        return page("message.html", status=400, message=str(refused))
    return page("payer.html", operation=operation, cards=CARDS)


@routes.post("/api-payment/V4/Order/Get")
async def lyra_order(request: web.Request) -> web.Response:
    faults, shops = request.app[FAULTS], request.app[KNOWN].shops
    await asyncio.sleep(faults.slow_seconds)
    if faults.service_down:
        return web.Response(status=503, text="Service indisponible")
    try:
        given = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode("utf-8")
        site_id, _, password = given.partition(":")
        order_id = str((await request.json())["orderId"])
    except (ValueError, KeyError, TypeError):
        return web.json_response(lyra.error("INT_902", "web-service input data validation error"))
    shop = shops.get(site_id)
    if shop is None or shop.get("rest_password") != password or faults.rest_refused:
        return web.json_response(lyra.error("INT_905", "invalid login or private key"))
    return web.json_response(lyra.order(order_id, shop, list(request.app[BOOK].operations.values()), faults))


@routes.get("/load.html")
async def paybox_status(request: web.Request) -> web.Response:
    return web.Response(text=paybox.status_page(request.app[FAULTS]), content_type="text/html")


@routes.post("/cgi/FramepagepaiementRWD.cgi")
async def paybox_page(request: web.Request) -> web.Response:
    form = parse_qsl(await request.text(), keep_blank_values=True)
    try:
        operation = paybox.open_page(form, request.app[KNOWN].contracts, request.app[BOOK])
    except paybox.Refused as refused:
        return page("message.html", status=400, message=str(refused))
    return page("payer.html", operation=operation, cards=CARDS)


@routes.route("*", "/v1/{path:.+}")
async def stripe_api(request: web.Request) -> web.StreamResponse:
    """Every call of the API: the key first, then what is asked; a slow answer tells of work that is done."""
    faults = request.app[FAULTS]
    if faults.service_down:
        return web.json_response({"error": {"type": "api_error", "message": "Service unavailable"}}, status=503)
    try:
        said, status = await _stripe(request), 200
    except stripe.Refused as refused:
        said, status = refused.body, refused.status
    await asyncio.sleep(faults.slow_seconds)
    return await _answer(request, web.json_response(said).body, "application/json", status)  # type: ignore[arg-type]


async def _stripe(request: web.Request) -> stripe.Json:
    app, faults = request.app, request.app[FAULTS]
    account = stripe.account_of(app[KNOWN].accounts, request.headers.get("Authorization", ""))
    form = {name: str(value) for name, value in (await request.post()).items()}
    key, page_url = request.headers.get("Idempotency-Key", ""), account.get("page_url") or str(request.url.origin())

    def shown(operation: Operation) -> stripe.Json:
        return stripe.session(operation, account, faults, page_url=page_url, is_told=operation.result_is_told)

    match request.method, request.match_info["path"].split("/"):
        case "GET", ["account"]:
            return {"id": account["account"], "object": "account"}
        case "POST", ["checkout", "sessions"]:
            return shown(stripe.create(form, key, account, app[BOOK]))
        case "GET", ["checkout", "sessions", id_op]:
            operation = stripe.find(id_op, account, app[BOOK])
            said = shown(operation)
            return stripe.expanded(said, operation) if "expand[]" in request.query else said
        case "POST", ["checkout", "sessions", id_op, "expire"]:
            operation = stripe.find(id_op, account, app[BOOK])
            if not stripe.is_open(operation):
                raise stripe.Refused(400, "resource_invalid", "Only Checkout Sessions with a status of open can expire")
            finish(app, operation, "A", 0)
            return shown(operation)
        case "POST", ["refunds"]:
            operation, said, is_new = stripe.refund(form, key, account, app[BOOK])
            if is_new:
                app[NOTICE].after(operation, "refund")
            return said
    raise stripe.Refused(404, "resource_missing", "Unrecognized request URL")


@routes.get("/c/pay/{id_op}")
async def stripe_page(request: web.Request) -> web.Response:
    operation = request.app[BOOK].operations.get(request.match_info["id_op"])
    if operation is None or operation.protocol != "stripe":
        return page("message.html", status=404, message="Page inconnue.")
    if not stripe.is_open(operation):
        return page("message.html", status=409, message="Cette page de paiement n'est plus ouverte.", back=operation)
    _shown(request.app, operation)
    return page("payer.html", operation=operation, cards=CARDS)


@routes.post("/tpa/payer")
async def pay(request: web.Request) -> web.Response:
    """The button of every bank's page. At Stripe a refused card or a step back leaves the page open."""
    form: Any = await request.post()
    operation = request.app[BOOK].operations.get(str(form.get("idop", "")))
    if operation is None:
        return page("message.html", status=404, message="Opération inconnue.")
    stays_open = operation.protocol == "stripe"
    if stays_open and not stripe.is_open(operation):
        return page("message.html", status=409, message="Cette page de paiement n'est plus ouverte.", back=operation)
    if "abandon" in form:
        if not stays_open:
            finish(request.app, operation, "A", 0)
        raise web.HTTPSeeOther(operation.back_url)
    digits = "".join(character for character in str(form.get("card", "")) if character.isdigit())
    card = next((known for number, known in CARDS.items() if number.replace(" ", "") == digits), None)
    wrong = "" if card else "Ce numéro n'est pas une carte d'essai."
    if stays_open and card and card[1] == "R":
        wrong = "Votre carte a été refusée. Essayez-en une autre."
    if wrong or card is None:
        return page("payer.html", status=422, operation=operation, cards=CARDS, wrong=wrong)
    finish(request.app, operation, card[1], card[2])
    raise web.HTTPSeeOther(operation.back_url)
