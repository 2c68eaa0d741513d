"""The banks' calls, handed on byte for byte: only payment-gateway makes something of them."""

from aiohttp import web

from chassis.concurrency import separate_limit
from chassis.http import Problem, problem_json
from chassis.request_bodies import body_limit
from contracts.failures import Unavailable
from gateway.clients.services import SERVICES, UpstreamError
from gateway.pages.shared.rendering import client_address

NOTICE_BYTES_MAX = 16_384
HANDED_ON = ("Content-Type", "User-Agent", "Stripe-Signature")
SOURCE_HEADER = "X-Notice-Source"

routes = web.RouteTableDef()


@routes.get("/webhooks/{bank:[a-z0-9-]{1,40}}", allow_head=False)
@routes.post("/webhooks/{bank:[a-z0-9-]{1,40}}")
@separate_limit("webhooks")
@body_limit(NOTICE_BYTES_MAX)
async def take_notice(request: web.Request) -> web.StreamResponse:
    """Answer the bank with what payment-gateway answers."""
    path = f"/webhooks/{request.match_info['bank']}"
    if request.rel_url.raw_query_string:
        path += f"?{request.rel_url.raw_query_string}"
    headers = {name: request.headers[name] for name in HANDED_ON if name in request.headers}
    headers[SOURCE_HEADER] = client_address(request)
    try:
        body = await request.read()
        await request.app[SERVICES].raw("payment-gateway", request.method, path, headers=headers, data=body)
    except UpstreamError as error:
        return await problem_json(request, error.problem)
    except Unavailable as away:
        return await problem_json(request, Problem(status=503, code=away.code, detail=away.detail, facts=away.facts))
    return web.Response()
