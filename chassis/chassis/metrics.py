"""Prometheus metrics, on a port of their own that is not public (``METRICS_PORT``)."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Sequence

import structlog
from aiohttp import web
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from chassis.broker import AWAY as BROKER_AWAY
from chassis.broker import BROKER, dead_letter_queue, waiting_messages
from chassis.connections import Connections, Site, answered_by
from chassis.database import DATABASE, Database
from chassis.health_metrics import DEAD_LETTERS, Gauge, measure
from chassis.settings import EdgeSettings
from contracts.failures import Unavailable

REQUESTS = Histogram(
    "preau_request_seconds",
    "Duration of a request, by route and status",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
PUBLISHED = Counter("preau_events_published", "Events confirmed by the broker", ["type"])
CONSUMED = Counter("preau_events_consumed", "Events delivered to a consumer, by outcome", ["queue", "outcome"])
JOB_FAILURES = Counter("preau_job_failures", "Failures of a job, which is repeated", ["job"])

QUEUE_CHECK_SECONDS = 5

SCRAPES_MAX = 64

log = structlog.get_logger()


def route_of(request: web.Request) -> str:
    """The route template, never the path itself; ``none`` for an unknown path."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "none"


def observe(request: web.Request, status: int, seconds: float) -> None:
    """Record one response."""
    REQUESTS.labels(request.method, route_of(request), str(status)).observe(seconds)


class _Measured(Collector):
    """The gauges of one scrape."""

    def __init__(self, families: Sequence[GaugeMetricFamily]) -> None:
        self._families = families

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield from self._families


def use_metrics(app: web.Application, settings: EdgeSettings, gauges: Sequence[Gauge], queues: Sequence[str]) -> None:
    """Serve ``GET /metrics`` on ``METRICS_PORT``, if it is set."""
    if settings.metrics_port is None:
        return
    port = settings.metrics_port

    async def metrics(_request: web.Request) -> web.Response:
        registry = CollectorRegistry()
        registry.register(_Measured(await _measured(app, gauges, queues)))
        body = generate_latest(REGISTRY) + generate_latest(registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def run(_app: web.Application) -> AsyncIterator[None]:
        aside = web.Application()
        aside.router.add_get("/metrics", metrics)
        aside.on_response_prepare.append(answered_by)
        runner = web.AppRunner(aside, access_log=None)
        await runner.setup()
        listening, table = socket.create_server((settings.http_host, port)), Connections(SCRAPES_MAX, by_address=False)
        await Site(runner, listening, table, backlog=SCRAPES_MAX).start()
        yield
        await runner.cleanup()

    app.cleanup_ctx.append(run)


async def _measured(app: web.Application, gauges: Sequence[Gauge], queues: Sequence[str]) -> list[GaugeMetricFamily]:
    """Gauges and queue depths; those of a server that is away are left out, which is an alert of its own."""
    families = await _of_database(app[DATABASE], gauges) if DATABASE in app else []
    depth = GaugeMetricFamily("preau_queue_messages", "messages that wait for a consumer", labels=["queue"])
    aside = GaugeMetricFamily(f"preau_{DEAD_LETTERS.name}", DEAD_LETTERS.description, labels=["queue"])
    try:
        async with asyncio.timeout(QUEUE_CHECK_SECONDS), app[BROKER].inspecting() as channel:
            for queue in queues:
                depth.add_metric([queue], await waiting_messages(channel, queue))
                aside.add_metric([queue], await waiting_messages(channel, dead_letter_queue(queue)))
    except (*BROKER_AWAY, LookupError) as error:
        log.warning("queues not measured", error=str(error))
    return [*families, depth, aside]


async def _of_database(database: Database, gauges: Sequence[Gauge]) -> list[GaugeMetricFamily]:
    pool = GaugeMetricFamily("preau_database_connections", "connections to the database, by state", labels=["state"])
    for state, count in database.connections().items():
        pool.add_metric([state], count)
    try:
        async with database.transaction() as tx:
            found = await measure(tx, gauges)
    except Unavailable as error:
        log.warning("health metrics not measured", error=str(error))
        found = {}
    measured = [
        GaugeMetricFamily(f"preau_{each.name}", each.description, value=found[each.name])
        for each in gauges
        if each.name in found
    ]
    return [pool, *measured]
