"""The exporter to OpenTelemetry; loaded only where traces are exported, see ``chassis.tracing``."""

from types import TracebackType
from typing import Self

from aiohttp import web
from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.re import parse_env_headers

from chassis.tracing import HEADER, Facts, Kind, Span
from contracts.failures import Refusal, Unavailable

EXPORT_SECONDS = 3
W3C = TraceContextTextMapPropagator()


class OpenTelemetry:
    """Spans to a collector by OTLP over HTTP, in batches, from a thread of their own.

    ``headers`` are written as ``name=value,name=value``, values as in a URL.
    """

    def __init__(self, service: str, endpoint: str, *, headers: str, share: float) -> None:
        exporter = OTLPSpanExporter(
            endpoint=f"{endpoint.rstrip('/')}/v1/traces",
            headers=parse_env_headers(headers, liberal=True),
            timeout=EXPORT_SECONDS,
        )
        self._provider = TracerProvider(
            sampler=ParentBasedTraceIdRatio(share),
            resource=Resource.create({"service.name": service, "service.namespace": "preau"}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("chassis")

    def begin(self, name: str, kind: Kind, facts: Facts, remote: str | None, *, is_remote: bool) -> Span:
        """See ``tracing.span`` and ``tracing.continue_trace``."""
        here, parent, links = trace.get_current_span().get_span_context(), None, []
        if is_remote:
            parent = W3C.extract({HEADER: remote} if remote else {}, context.Context())
            there = trace.get_current_span(parent).get_span_context()
            if here.is_valid and here.trace_id == there.trace_id:
                parent = None
            elif here.is_valid:
                links.append(Link(here))
        return _Recorded(
            self._tracer.start_span(name, parent, SpanKind[kind], dict(facts), links, record_exception=False)
        )

    def current(self) -> Span:
        """The innermost span of this task."""
        return _Recorded(trace.get_current_span())

    def traceparent(self) -> str | None:
        """The current ``traceparent``."""
        carrier: dict[str, str] = {}
        W3C.inject(carrier)
        return carrier.get(HEADER)

    def trace_id(self) -> str | None:
        """The current trace."""
        here = trace.get_current_span().get_span_context()
        return trace.format_trace_id(here.trace_id) if here.is_valid else None

    def close(self) -> None:
        """Flush."""
        self._provider.shutdown()


class _Recorded(Span):
    """A recorded span. An error is marked without its message, which may name a person."""

    def __init__(self, recorded: trace.Span) -> None:
        self._recorded = recorded

    def note(self, facts: Facts) -> None:
        """Add attributes."""
        self._recorded.set_attributes(dict(facts))

    def fails(self) -> None:
        """Mark the span as failed."""
        self._recorded.set_status(Status(StatusCode.ERROR))

    def __enter__(self) -> Self:
        self._token = context.attach(trace.set_span_in_context(self._recorded))
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        context.detach(self._token)
        if error is not None and not _is_an_answer(error):
            self._recorded.set_attribute("error.type", type(error).__name__)
            self.fails()
        self._recorded.end()


def _is_an_answer(error: BaseException) -> bool:
    """Whether an exception is an answer, such as a named failure or a redirect, and not an outage."""
    return isinstance(error, Refusal | web.HTTPException) and not isinstance(error, Unavailable)
