"""Traces: what one click sets going, from the gateway by doors, outbox, broker and listeners to the mail.

The W3C trace context goes from program to program in the header ``traceparent`` of requests and messages, and waits
beside what is done later: the outbox row, the payment at the bank, the mail. Without ``OTEL_EXPORTER_OTLP_ENDPOINT``
no library is loaded, nothing is kept, and a span is one comparison.

Names and facts hold routes, queues, kinds and statuses; never a path, an address, or who it was.
"""

import asyncio
from collections.abc import Mapping
from enum import StrEnum
from types import TracebackType
from typing import Protocol, Self

import structlog
from aiohttp import web
from structlog.typing import EventDict, WrappedLogger

from chassis.settings import EdgeSettings

HEADER = "traceparent"

Facts = Mapping[str, str | int]


class Kind(StrEnum):
    """What a piece of work is to its caller, as OpenTelemetry says it."""

    SERVER = "SERVER"
    CLIENT = "CLIENT"
    PRODUCER = "PRODUCER"
    CONSUMER = "CONSUMER"
    INTERNAL = "INTERNAL"


class Span:
    """A piece of work, from ``with`` to its end; this one belongs to no trace."""

    def note(self, facts: Facts) -> None:
        """What is known of it by now."""

    def fails(self) -> None:
        """It did not do what it was for."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        pass


class Traces(Protocol):
    """Where spans go."""

    def begin(self, name: str, kind: Kind, facts: Facts, told: str | None, *, is_told: bool) -> Span:
        """A span of the trace that was told of, of a new one where None was told, or of the current one."""

    def current(self) -> Span:
        """The innermost span of this task."""

    def traceparent(self) -> str | None:
        """Where the current span is, as W3C writes it."""

    def trace_id(self) -> str | None:
        """The current trace, in hexadecimal."""

    def close(self) -> None:
        """Send what is left, within a few seconds."""


class _Off:
    traces: Traces | None = None


NOTHING = Span()
_on = _Off()
log = structlog.get_logger()


def configure(service: str, settings: EdgeSettings) -> None:
    """Send this program's spans where the settings say."""
    if settings.otel_exporter_otlp_endpoint:
        from chassis.open_telemetry import OpenTelemetry  # noqa: PLC0415 - some hundred modules for who wants traces

        _on.traces = OpenTelemetry(
            service,
            settings.otel_exporter_otlp_endpoint,
            headers=settings.otel_exporter_otlp_headers or "",
            share=settings.otel_traces_sampler_arg,
        )


async def stop(_app: web.Application | None = None) -> None:
    """Send what is left; later spans are of no trace."""
    traces, _on.traces = _on.traces, None
    if traces:
        await asyncio.to_thread(traces.close)


def is_on() -> bool:
    """Whether anybody wants traces."""
    return _on.traces is not None


def span(name: str, kind: Kind, facts: Facts | None = None) -> Span:
    """A part of what this task does already."""
    return _on.traces.begin(name, kind, facts or {}, None, is_told=False) if _on.traces else NOTHING


def continue_trace(told: str | None, name: str, kind: Kind, facts: Facts | None = None) -> Span:
    """A part of the trace that a ``traceparent`` told of; without one, the beginning of another.

    What this task does already is linked when it is of another trace, and gets a part when it is of the same.
    """
    return _on.traces.begin(name, kind, facts or {}, told, is_told=True) if _on.traces else NOTHING


def current() -> Span:
    """The innermost span of this task."""
    return _on.traces.current() if _on.traces else NOTHING


def traceparent() -> str | None:
    """Where this task is in its trace, to be kept or sent on; None where there is none."""
    return _on.traces.traceparent() if _on.traces else None


def headers() -> dict[str, str]:
    """The header that takes the trace along."""
    here = traceparent()
    return {HEADER: here} if here else {}


def add_trace_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A processor of logs: a line says of which trace it is."""
    if _on.traces and (trace_id := _on.traces.trace_id()):
        event["trace_id"] = trace_id
    return event
