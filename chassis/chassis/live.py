"""Events as they are published, not durable: for the pages that are open at the gateway."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import structlog
from aiohttp import web
from pydantic import ValidationError

from chassis.broker import BROKER
from chassis.envelope import Envelope
from chassis.tasks import cancel_and_wait, run_forever
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
        consuming = run_forever(lambda: app[BROKER].consume_live(types, handle), "live events")
        yield
        await cancel_and_wait(consuming)

    app.cleanup_ctx.append(run)
