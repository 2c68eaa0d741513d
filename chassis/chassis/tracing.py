"""Distributed traces: one request from the gateway through services, outbox, broker and consumers to the mail.

The W3C trace context travels in the header ``traceparent`` of requests and messages, and is stored with what is done
later: the outbox row, the payment, the mail. Without ``OTEL_EXPORTER_OTLP_ENDPOINT`` no library is loaded and a span
costs one comparison.

Names and attributes hold routes, queues, kinds and statuses; never a path, an address or a person.
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
    """The kind of a span, as OpenTelemetry defines it."""

    SERVER = "SERVER"
    CLIENT = "CLIENT"
    PRODUCER = "PRODUCER"
    CONSUMER = "CONSUMER"
    INTERNAL = "INTERNAL"


class Span:
    """A span, used as a context manager; this class is the span that is not recorded."""

    def note(self, facts: Facts) -> None:
        """Add attributes."""

    def fails(self) -> None:
        """Mark the span as failed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        pass


class Traces(Protocol):
    """An exporter of spans."""

    def begin(self, name: str, kind: Kind, facts: Facts, remote: str | None, *, is_remote: bool) -> Span:
        """A span in the trace of ``remote``, or of a new trace if ``is_remote`` and there is none; else a child of the
        current span."""

    def current(self) -> Span:
        """The innermost span of this task."""

    def traceparent(self) -> str | None:
        """The current ``traceparent``."""

    def trace_id(self) -> str | None:
        """The current trace, in hexadecimal."""

    def close(self) -> None:
        """Flush, within a few seconds."""


class _Off:
    traces: Traces | None = None


NOTHING = Span()
_on = _Off()
log = structlog.get_logger()


def configure(service: str, settings: EdgeSettings) -> None:
    """Export this program's spans as the settings say."""
    if settings.otel_exporter_otlp_endpoint:
        from chassis.open_telemetry import OpenTelemetry  # noqa: PLC0415 - some hundred modules for who wants traces

        _on.traces = OpenTelemetry(
            service,
            settings.otel_exporter_otlp_endpoint,
            headers=settings.otel_exporter_otlp_headers or "",
            share=settings.otel_traces_sampler_arg,
        )


async def stop(_app: web.Application | None = None) -> None:
    """Flush; later spans are not recorded."""
    traces, _on.traces = _on.traces, None
    if traces:
        await asyncio.to_thread(traces.close)


def is_on() -> bool:
    """Whether spans are recorded."""
    return _on.traces is not None


def span(name: str, kind: Kind, facts: Facts | None = None) -> Span:
    """A child span of the current one."""
    return _on.traces.begin(name, kind, facts or {}, None, is_remote=False) if _on.traces else NOTHING


def continue_trace(parent: str | None, name: str, kind: Kind, facts: Facts | None = None) -> Span:
    """A span in the trace of ``traceparent``, or of a new trace without one.

    The current span is linked if it belongs to another trace, and is the parent if it belongs to the same.
    """
    return _on.traces.begin(name, kind, facts or {}, parent, is_remote=True) if _on.traces else NOTHING


def current() -> Span:
    """The innermost span of this task."""
    return _on.traces.current() if _on.traces else NOTHING


def traceparent() -> str | None:
    """The current ``traceparent``, to be stored or sent; None without a trace."""
    return _on.traces.traceparent() if _on.traces else None


def headers() -> dict[str, str]:
    """The header that propagates the trace."""
    here = traceparent()
    return {HEADER: here} if here else {}


def add_trace_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog processor that adds the trace id."""
    if _on.traces and (trace_id := _on.traces.trace_id()):
        event["trace_id"] = trace_id
    return event
