"""Events as they pass: not durable, for whoever watches now, such as the gateway's open pages."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import structlog
from aiohttp import web
from pydantic import ValidationError

from chassis.broker import BROKER
from chassis.envelope import Envelope
from chassis.tasks import end, keep_running
from contracts.events import Event

log = structlog.get_logger()


def use_live(app: web.Application, types: Sequence[str], on_event: Callable[[Event], Awaitable[None]]) -> None:
    """Call ``on_event`` for each event whose type is one of ``types``."""

    async def handle(body: bytes) -> None:
        try:
            event = Envelope.model_validate_json(body).event()
        except (ValidationError, ValueError) as error:
            log.warning("live event cannot be read", error=str(error))
        else:
            await on_event(event)

    async def run(app: web.Application) -> AsyncIterator[None]:
        attending = keep_running(lambda: app[BROKER].attend_live(types, handle), "live events")
        yield
        await end(attending)

    app.cleanup_ctx.append(run)
