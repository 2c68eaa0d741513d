"""What is seen of a portal at work: a payment is one trace that names nobody, and the dashboards' figures are there."""

import json
import re
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from prometheus_client.parser import text_string_to_metric_families

from chassis.testing import eventually
from local_stack import demo
from local_stack.ports import claim_any
from local_stack.stack import PROGRAMS, Stack

pytestmark = [pytest.mark.faults, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

DASHBOARDS = Path(__file__).parents[2] / "deploy/observability/dashboards"
SELECTOR = re.compile(r"([a-z][a-z0-9_]*)\{([^}]*)\}")
UUID_SHAPED = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
STRANGERS = "4bf92f3577b34da6a3ce929d0e0e4736"
WANTED = {
    ("gateway", "POST /paiements"),
    ("gateway", "POST billing"),
    ("billing", "POST /households/{household_id}/checkouts"),
    ("billing", "publish billing.checkout.opened"),
    ("payment-gateway", "process payment-gateway.keep-checkouts"),
    ("gateway", "POST payment-gateway"),
    ("payment-gateway", "POST /payments"),
    ("payment-gateway", "open at payfip"),
    ("payment-gateway", "look up at payfip"),
    ("payment-gateway", "ask payfip"),
    ("payment-gateway", "payment confirmed"),
    ("payment-gateway", "publish payment.confirmed"),
    ("billing", "process billing.settle-invoices"),
    ("billing", "publish billing.invoice.settled"),
    ("payment-gateway", "process payment-gateway.note-settlements"),
    ("notifier", "process notifier.mail-ticket"),
    ("notifier", "send mail ticket"),
}


class Seen(NamedTuple):
    """A span as the collector got it."""

    trace_id: str
    span_id: str
    parent_id: str
    program: str
    name: str
    facts: dict[str, Any]
    failed: bool


class Collector:
    """An OTLP receiver: it takes spans over HTTP, in protobuf, as any collector does."""

    def __init__(self) -> None:
        self.spans: list[Seen] = []

    async def take(self, request: web.Request) -> web.Response:
        """``POST /v1/traces``."""
        told = ExportTraceServiceRequest.FromString(await request.read())
        for resource in told.resource_spans:
            names = {each.key: each.value.string_value for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [self._seen(names["service.name"], span) for span in scope.spans]
        body = ExportTraceServiceResponse().SerializeToString()
        return web.Response(body=body, content_type="application/x-protobuf")

    @staticmethod
    def _seen(program: str, span: Any) -> Seen:
        facts = {each.key: each.value.string_value or each.value.int_value for each in span.attributes}
        ids = (each.hex() for each in (span.trace_id, span.span_id, span.parent_span_id))
        return Seen(*ids, program, span.name, facts, span.status.code == Status.STATUS_CODE_ERROR)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def collector() -> AsyncIterator[tuple[Collector, str]]:
    """A collector and its address."""
    made, port, app = Collector(), claim_any(), web.Application()
    app.router.add_post("/v1/traces", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield made, f"http://127.0.0.1:{port}"
    await runner.cleanup()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(collector: tuple[Collector, str]) -> AsyncIterator[Stack]:
    """The portal, its programs told where traces go and where to show their figures."""
    folder = Path(tempfile.mkdtemp(prefix="preau-observed-"))
    told = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector[1]}
    settings = {name: {**told, "METRICS_PORT": str(claim_any())} for name in PROGRAMS}
    made = Stack(folder, durable=False, settings=settings)
    try:
        await made.start()
        await demo.fill(made)
        yield made
    finally:
        await made.stop()
        made.forget()


@pytest.mark.parametrize("family", ["demo06"], indirect=True)
async def test_a_payment_is_one_trace_from_the_click_to_the_mail(family: Any, collector: tuple[Collector, str]) -> None:
    spans, stack = collector[0].spans, family.stack
    id_op = await family.begin()
    await stack.kill("notifier")
    await family.bank(id_op, "pay")
    await stack.restart("notifier")
    await family.is_settled_once(id_op)

    async def whole() -> list[Seen] | None:
        clicks = [each.trace_id for each in spans if (each.program, each.name) == ("gateway", "POST /paiements")]
        found = [each for each in spans if each.trace_id in clicks]
        return found if {(each.program, each.name) for each in found} >= WANTED else None

    found = await eventually(whole)
    assert len({each.trace_id for each in found}) == 1
    ids = {each.span_id for each in found}
    assert [each.name for each in found if each.parent_id not in ids] == ["POST /paiements"]
    early = ("payment-gateway", "POST /payments")  # asked again until it has heard of the checkout
    assert {(each.program, each.name) for each in found if each.failed} <= {early}
    for program in ("gateway", "billing", "payment-gateway"):
        lines = stack.programs[program].log.read_text(encoding="utf-8").splitlines()
        said = [json.loads(line) for line in lines if found[0].trace_id in line]
        assert {each["event"] for each in said if each["trace_id"] == found[0].trace_id} >= {"request"}, program


@pytest.mark.parametrize("family", ["demo08"], indirect=True)
async def test_a_trace_names_nobody_and_takes_nothing_from_strangers(
    family: Any, collector: tuple[Collector, str]
) -> None:
    spans, url = collector[0].spans, family.stack.gateway_url
    _, home = await family.get("/")
    child = re.findall(r'href="/planning/([\w-]{36})"', home)[0]
    await family.get(f"/planning/{child}")
    stranger = {"traceparent": f"00-{STRANGERS}-00f067aa0ba902b7-01"}
    async with aiohttp.ClientSession() as http, http.get(f"{url}/nulle-part/{child}", headers=stranger) as response:
        assert response.status == 404

    async def has_come() -> bool:
        names = {(each.program, each.name) for each in spans}
        return names >= {("gateway", "GET /planning/{child_id}/{month}"), ("gateway", "GET none")}

    await eventually(has_come)
    assert {each.program for each in spans} == set(PROGRAMS)
    assert STRANGERS not in {each.trace_id for each in spans}
    kept = "\n".join(f"{each.name} {each.facts}" for each in spans)
    assert not UUID_SHAPED.search(kept)
    for private in ("demo08", "example.org", "Garcia", "Elena", "Hugo", "127.0.0.1"):
        assert private not in kept


async def exposed(stack: Stack) -> dict[str, set[str]]:
    """The labels of every series of every program by the series' name, as Prometheus would have them."""
    found: dict[str, set[str]] = {"up": {"job", "instance"}}
    async with aiohttp.ClientSession() as http:
        for name in PROGRAMS:
            port = stack.programs[name].environment["METRICS_PORT"]
            async with http.get(f"http://127.0.0.1:{port}/metrics") as response:
                for family in text_string_to_metric_families(await response.text()):
                    for sample in family.samples:
                        labels = {"exported_job" if label == "job" else label for label in sample.labels}
                        found.setdefault(sample.name, set()).update(labels, {"job", "instance", "namespace"})
    return found


@pytest.mark.parametrize("family", ["demo09"], indirect=True)
async def test_every_series_that_a_panel_names_is_exposed_with_the_labels_it_asks_for(family: Any) -> None:
    id_op = await family.begin()
    await family.bank(id_op, "pay")
    await family.is_settled_once(id_op)
    series = await exposed(family.stack)
    # What fails or waits has no series until it does; these are declared, and the rest must have been seen at work.
    series.setdefault("preau_job_failures_total", {"exported_job", "job", "instance", "namespace"})
    asked = list(asked_for())
    assert {name for name, _labels in asked} <= series.keys()
    for name, labels in asked:
        assert labels - {"namespace", "le"} <= series[name], name


def asked_for() -> Iterator[tuple[str, set[str]]]:
    """Each series of each panel, and the labels by which it is chosen or grouped."""
    for file in DASHBOARDS.glob("*.json"):
        for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]:
            for target in panel["targets"]:
                grouped = {
                    label for told in re.findall(r"by \(([\w, ]+)\)", target["expr"]) for label in told.split(", ")
                }
                for name, matchers in SELECTOR.findall(target["expr"]):
                    yield name, grouped | set(re.findall(r"(\w+)=", matchers))
