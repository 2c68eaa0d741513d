"""Traces that nobody wants cost nothing; those of a whole portal are the story of tests/faults/test_observed.py."""

import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from pydantic import ValidationError

from chassis import tracing
from chassis.settings import EdgeSettings
from chassis.tracing import Kind
from contracts.failures import NotFound, Unavailable

TOLD = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def settings(**more: Any) -> EdgeSettings:
    return EdgeSettings(amqp_url="amqp://unused", auth_url="http://unused", http_port=0, **more)


@pytest.fixture
async def spans() -> AsyncIterator[list[Any]]:
    """What a collector has got from who may send it some, once ``tracing.stop`` has sent all of it."""
    taken: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer a,b"
        assert request.headers["X-Town"] == "saint-aubin"
        told = ExportTraceServiceRequest.FromString(await request.read())
        taken.extend(span for each in told.resource_spans for scope in each.scope_spans for span in scope.spans)
        return web.Response(content_type="application/x-protobuf")

    app = web.Application()
    app.router.add_post("/v1/traces", take)
    async with TestServer(app) as server:
        there = {"otel_exporter_otlp_endpoint": str(server.make_url("")).rstrip("/")}
        there["otel_exporter_otlp_headers"] = "authorization=Bearer%20a%2Cb,x-town=saint-aubin"
        tracing.configure("test", settings(**there))
        yield taken
        await tracing.stop()


@pytest.mark.parametrize("wrong", ["Bearer abc", "authorization=Bearer abc", "authorization=a,,b=c", "=a"])
def test_headers_that_cannot_be_sent_are_refused_at_the_start_and_shown_nowhere(wrong: str) -> None:
    with pytest.raises(ValidationError, match="otel_exporter_otlp_headers"):
        settings(otel_exporter_otlp_headers=wrong)
    assert "secret" not in repr(settings(otel_exporter_otlp_headers="authorization=secret"))


def test_without_a_collector_there_is_no_span_no_header_and_nothing_to_keep() -> None:
    with tracing.span("work", Kind.INTERNAL) as span, tracing.continue_trace(TOLD, "more", Kind.SERVER) as more:
        assert span is more is tracing.NOTHING
        assert tracing.traceparent() is None
        assert tracing.headers() == {}
        assert tracing.add_trace_id(None, "info", {"event": "said"}) == {"event": "said"}


def test_without_a_collector_the_library_is_not_even_loaded() -> None:
    programs = ["auth", "planning", "billing", "payment_gateway", "notifier", "gateway"]
    imports = "".join(f"import {each}.__main__\n" for each in programs)
    code = f"import sys\n{imports}sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_a_trace_goes_on_where_it_was_told_and_links_what_led_there(spans: list[Any]) -> None:
    with tracing.span("click", Kind.SERVER):
        with tracing.continue_trace(TOLD, "later", Kind.CONSUMER):
            here = tracing.headers()["traceparent"]
            assert tracing.add_trace_id(None, "info", {}) == {"trace_id": TOLD.split("-")[1]}
            with tracing.continue_trace(here, "part", Kind.INTERNAL):
                pass
        with tracing.continue_trace("no traceparent at all", "another", Kind.SERVER):
            pass
    await tracing.stop()
    found = {span.name: span for span in spans}
    assert found["later"].trace_id == found["part"].trace_id == bytes.fromhex(TOLD.split("-")[1])
    assert found["later"].parent_span_id == bytes.fromhex(TOLD.split("-")[2])
    assert found["part"].parent_span_id == found["later"].span_id
    assert [link.span_id for link in found["later"].links] == [found["click"].span_id]
    assert not found["part"].links
    assert len({each.trace_id for each in found.values()}) == 3


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RuntimeError("Camille Dupont"), "RuntimeError"),
        (Unavailable("Camille Dupont"), "Unavailable"),
        (NotFound("Camille Dupont"), None),
        (web.HTTPSeeOther("/"), None),
    ],
)
async def test_an_error_leaves_its_type_and_no_word_and_an_answer_is_no_error(
    spans: list[Any], error: Exception, kind: str | None
) -> None:
    with pytest.raises(type(error)), tracing.span("work", Kind.INTERNAL):
        raise error
    await tracing.stop()
    (span,) = spans
    assert (span.status.code == Status.STATUS_CODE_ERROR) == (kind is not None)
    assert {each.key: each.value.string_value for each in span.attributes} == ({"error.type": kind} if kind else {})
    assert b"Camille" not in span.SerializeToString()


async def test_a_collector_that_is_away_stops_nobody() -> None:
    tracing.configure("test", settings(otel_exporter_otlp_endpoint="http://127.0.0.1:9"))
    with tracing.span("work", Kind.INTERNAL):
        assert tracing.is_on()
    await tracing.stop()
    assert not tracing.is_on()
