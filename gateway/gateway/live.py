"""What happens now, told to the pages that wait for it."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from aiohttp import web

from chassis.broker import use_broker
from chassis.live import use_live
from contracts.events import Event
from contracts.events.auth import SessionEnded
from contracts.events.payment import PaymentConfirmed, PaymentExpired, PaymentHeld, PaymentRefused
from gateway.services import SERVICES
from gateway.settings import SETTINGS


class Hub:
    """Who waits for which payment, and in which session."""

    def __init__(self) -> None:
        self._waiting: dict[UUID, set[asyncio.Event]] = defaultdict(set)
        self.is_closing = False

    @contextmanager
    def waits_for(self, *subjects: UUID) -> Iterator[asyncio.Event]:
        """An event that is set when something is heard of one of the subjects."""
        heard = asyncio.Event()
        for subject in subjects:
            self._waiting[subject].add(heard)
        try:
            yield heard
        finally:
            for subject in subjects:
                self._waiting[subject].discard(heard)
                if not self._waiting[subject]:
                    del self._waiting[subject]

    def close(self) -> None:
        """Wake everybody for the last time."""
        self.is_closing = True
        for subject in list(self._waiting):
            self.tell(subject)

    def tell(self, subject: UUID) -> None:
        """Wake whoever waits for the subject."""
        for heard in self._waiting.get(subject, ()):
            heard.set()


HUB = web.AppKey("hub", Hub)


def use_hub(app: web.Application) -> None:
    """Hear payments and ended sessions as they pass."""
    hub = app[HUB] = Hub()

    async def on_event(event: Event) -> None:
        if isinstance(event, SessionEnded):
            app[SERVICES].forget(event.session_id)
            hub.tell(event.session_id)
        elif isinstance(event, PaymentConfirmed | PaymentRefused | PaymentExpired | PaymentHeld):
            hub.tell(event.payment_id)

    async def close(_app: web.Application) -> None:
        hub.close()

    app.on_shutdown.append(close)
    use_broker(app, app[SETTINGS])
    use_live(app, ["payment.*", "auth.session.ended"], on_event)
