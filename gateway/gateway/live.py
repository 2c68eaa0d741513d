"""Server-sent events: an open page learns at once what has changed."""

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from uuid import UUID

from aiohttp import web

from chassis.broker import use_broker
from chassis.live import use_live
from contracts.events import LIVE_EVENTS, Event
from contracts.events.auth import SessionEnded
from contracts.events.billing import RunProgressed
from contracts.events.payment import PaymentConfirmed, PaymentExpired, PaymentHeld, PaymentRefused
from contracts.failures import TooMany, Unavailable
from gateway.clients.services import SERVICES, SignedOut, UpstreamError
from gateway.pages.shared.rendering import session_cookie
from gateway.settings import SETTINGS

KEEP_ALIVE_SECONDS = 15
STREAMS_OF_SESSION_MAX = 10
"""A page has one; a browser opens six connections to a host, and somebody may have two browsers."""


class Hub:
    """Who waits for which payment or run, and in which session."""

    def __init__(self) -> None:
        self._waiting: dict[UUID, set[asyncio.Event]] = defaultdict(set)
        self._streams = Counter[str]()
        self.is_closing = False

    @contextlib.contextmanager
    def stream_of(self, session: str) -> Iterator[None]:
        """Count a stream of the session while it is open; ``TooMany`` when it has enough."""
        if self._streams[session] >= STREAMS_OF_SESSION_MAX:
            raise TooMany("this session has many pages waiting already", retry_after_seconds=KEEP_ALIVE_SECONDS)
        self._streams[session] += 1
        try:
            yield
        finally:
            self._streams[session] -= 1
            if not self._streams[session]:
                del self._streams[session]

    @contextlib.contextmanager
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
            self.notify(subject)

    def notify(self, subject: UUID) -> None:
        """Wake whoever waits for the subject."""
        for heard in self._waiting.get(subject, ()):
            heard.set()


HUB = web.AppKey("hub", Hub)


def use_hub(app: web.Application) -> None:
    """Hear payments, monthly runs and ended sessions as they pass."""
    hub = app[HUB] = Hub()

    async def on_event(event: Event) -> None:
        if isinstance(event, SessionEnded):
            app[SERVICES].forget(event.session_id)
            hub.notify(event.session_id)
        elif isinstance(event, PaymentConfirmed | PaymentRefused | PaymentExpired | PaymentHeld):
            hub.notify(event.payment_id)
        elif isinstance(event, RunProgressed):
            hub.notify(event.run_id)

    async def close(_app: web.Application) -> None:
        hub.close()

    app.on_shutdown.append(close)
    use_broker(app, app[SETTINGS])
    use_live(app, [each.type for each in LIVE_EVENTS], on_event)


async def stream(
    request: web.Request, ask: Callable[[], Awaitable[tuple[str, bool]]], *subjects: UUID
) -> web.StreamResponse:
    """Send the status that ``ask`` returns as an event ``status``, now and after each event about the subjects.

    ``ask`` returns the status and whether another may follow. A status that has not changed is not sent again.
    """
    hub, sent = request.app[HUB], None
    with hub.stream_of(session_cookie(request)), hub.waits_for(*subjects) as changed:
        status, goes_on = await ask()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        with contextlib.suppress(Unavailable, UpstreamError, SignedOut, ConnectionError):  # the browser connects again
            while not hub.is_closing:
                if status != sent:
                    sent = status
                    await response.write(f"event: status\ndata: {sent}\n\n".encode())
                if not goes_on:
                    break
                if not await _within(changed, KEEP_ALIVE_SECONDS):
                    await response.write(b": waiting\n\n")
                changed.clear()  # before the question, so that an event during the question is not lost
                status, goes_on = await ask()
    return response


async def _within(changed: asyncio.Event, seconds: float) -> bool:
    """Whether the event was set in time."""
    try:
        await asyncio.wait_for(changed.wait(), seconds)
    except TimeoutError:
        return False
    return True
