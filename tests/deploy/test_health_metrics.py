"""The vitals on real databases and a real broker: the doctor's page, the figures, rules that are not stale."""

import importlib
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from chassis.broker import Message, dead_letter_queue, opened, publish, service_exchange, use_broker
from chassis.command import Service, run_doctor, set_up
from chassis.database import opened as opened_database
from chassis.database import use_database
from chassis.health import add_check
from chassis.health_metrics import OUTBOX_AGE, HealthMetric, measure
from chassis.http import application, public
from chassis.metrics import use_metrics
from chassis.settings import ServiceSettings
from contracts.failures import Unavailable
from local_stack.ports import claim_any
from local_stack.testing import owner_url
from tools import alerts

ROOT = Path(__file__).parents[2]
SERVICES = ("auth", "planning", "billing", "payment-gateway", "notifier")


def service_of(name: str) -> Service:
    found: Service = importlib.import_module(f"{name.replace('-', '_')}.__main__").SERVICE
    return found


def a_service(database_url: str, amqp_url: str) -> ServiceSettings:
    return ServiceSettings(
        database_url=database_url,
        amqp_url=amqp_url,
        auth_url="http://unused",
        http_port=0,
        metrics_port=claim_any(),
    )


@pytest.fixture
def settings(unmigrated_database_url: str, amqp_url: str) -> ServiceSettings:
    return a_service(unmigrated_database_url, amqp_url)


async def said_by_doctor(service: Service, settings: ServiceSettings, capsys: Any, *words: str) -> tuple[int, str]:
    status = await run_doctor(service, settings, list(words))
    return status, capsys.readouterr().out


@pytest.mark.parametrize("name", SERVICES)
async def test_a_new_service_is_well_once_it_is_set_up(name: str, settings: ServiceSettings, capsys: Any) -> None:
    service = service_of(name)
    status, text = await said_by_doctor(service, settings, capsys)
    assert status == 1
    assert "migrations missing" in text
    assert "Run `migrate`." in text
    made = Service(
        name,
        ServiceSettings,
        service.build,
        service.migrations,
        service.consumers,
        health_metrics=service.health_metrics,
    )
    await set_up(made, settings, owner_url=owner_url(settings.database_url))
    status, text = await said_by_doctor(service, settings, capsys)
    assert (status, len(text.splitlines())) == (0, 1), text
    status, text = await said_by_doctor(service, settings, capsys, "all")
    assert (status, "!!" in text) == (0, False), text
    for metric in service.health_metrics:
        assert f"{metric.description}: 0" in text
    for queue in service.queues:
        assert f"{queue.name}: 0 waiting, 0 aside" in text


async def test_the_doctor_says_what_is_wrong_and_what_to_do(settings: ServiceSettings, capsys: Any) -> None:
    service = service_of("notifier")
    await set_up(service, settings, owner_url=owner_url(settings.database_url))
    queue = service.queues[0].name
    async with opened(settings.amqp_url) as channel:
        home = await channel.get_exchange(service_exchange(queue))
        await publish(home, Message(b"{", "one", dead_letter_queue(queue)))
    async with opened_database(settings.database_url) as database, database.transaction() as tx:
        await tx.execute(
            "INSERT INTO outbox (type, subject, data, correlation_id, occurred_at) "
            "VALUES ('a.b', 's', '{}', 'c', now() - interval '5 minutes')"
        )
    status, text = await said_by_doctor(service, settings, capsys)
    assert status == 1
    assert f"!!  {queue}: 0 waiting, 1 aside" in text
    assert "dead-letters replay" in text
    assert f"!!  {OUTBOX_AGE.description}: 30" in text
    assert OUTBOX_AGE.remedy in text


async def test_the_doctor_finds_servers_that_are_away(capsys: Any) -> None:
    nowhere = f"127.0.0.1:{claim_any()}"
    settings = a_service(f"postgresql://x:y@{nowhere}/z", f"amqp://x:y@{nowhere}")
    status, text = await said_by_doctor(service_of("planning"), settings, capsys)
    assert status == 1
    assert re.search(r"database: \S.*\n      Start PostgreSQL", text)
    assert re.search(r"broker: \S.*\n      Start RabbitMQ", text)


async def test_the_doctor_tells_a_server_that_is_away_from_one_that_refuses(
    settings: ServiceSettings, capsys: Any
) -> None:
    service = service_of("notifier")
    await set_up(service, settings, owner_url=owner_url(settings.database_url))
    wrong = re.sub(r"//([^:]+):[^@]+@", r"//\1:wrong@", settings.database_url)
    _, text = await said_by_doctor(service, settings.model_copy(update={"database_url": wrong}), capsys)
    assert "PostgreSQL is there and refuses" in text
    one, *_ = (queue.name for queue in service.queues)
    async with opened(settings.amqp_url) as channel:
        await channel.queue_delete(one)
    _, text = await said_by_doctor(service, settings, capsys)
    assert f"!!  no queue {one}\n      Run `migrate`" in text


async def test_the_doctor_says_that_nobody_listens_and_what_a_program_says_of_itself(
    settings: ServiceSettings, capsys: Any
) -> None:
    service = service_of("notifier")
    await set_up(service, settings, owner_url=owner_url(settings.database_url))
    queue = service.queues[0].name
    async with opened(settings.amqp_url) as channel:
        await publish(await channel.get_exchange(service_exchange(queue)), Message(b"{}", "one", queue))
    nobody = settings.model_copy(update={"http_port": claim_any()})
    status, text = await said_by_doctor(service, nobody, capsys)
    assert status == 1
    assert "the program does not answer" in text
    assert f"!!  {queue}: 1 waiting, 0 aside\n      Nobody listens" in text
    app = application("notifier", settings)

    async def is_away() -> None:
        raise Unavailable("the database is away")

    add_check(app, "database", is_away)
    async with TestServer(app) as server:
        here = settings.model_copy(update={"http_port": server.port})
        _, text = await said_by_doctor(service, here, capsys)
    assert "it says of its database: Unavailable: the database is away" in text


async def test_the_doctor_looks_at_the_gateway_too(amqp_url: str, settings: ServiceSettings, capsys: Any) -> None:
    auth = service_of("auth")
    made = Service("auth", ServiceSettings, auth.build, auth.migrations)
    await set_up(made, settings, owner_url=owner_url(settings.database_url))
    status, text = await said_by_doctor(service_of("gateway"), settings, capsys)
    assert (status, text) == (0, "gateway: well, 2 looked at\n")


async def test_figures_are_on_a_port_of_their_own(settings: ServiceSettings) -> None:
    service = service_of("billing")
    made = Service("billing", ServiceSettings, service.build, service.migrations, service.consumers)
    await set_up(made, settings, owner_url=owner_url(settings.database_url))
    app = application("billing", settings)
    use_database(app, settings)
    use_broker(app, settings)
    queues = [queue.name for queue in service.queues]
    use_metrics(app, settings, (OUTBOX_AGE, *service.health_metrics, *service.gauges), queues)

    async def door(_request: web.Request) -> web.Response:
        return web.Response()

    app.router.add_get("/households/{household_id}", public(door))
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        async with http.get(server.make_url("/households/7")) as response:
            assert response.status == 200
        async with http.get(server.make_url("/metrics")) as response:
            assert response.status == 404
        async with http.get(f"http://127.0.0.1:{settings.metrics_port}/metrics") as response:
            text = await response.text()
    assert 'preau_request_seconds_count{method="GET",route="/households/{household_id}",status="200"}' in text
    assert "preau_ledger_imbalance_cents 0.0" in text
    assert "preau_owed_cents 0.0" in text
    assert 'preau_database_connections{state="working"} 0.0' in text
    assert f'preau_dead_letter_messages{{queue="{queues[0]}"}} 0.0' in text
    assert "process_resident_memory_bytes" in text


async def test_a_vital_measures_what_it_says(settings: ServiceSettings) -> None:
    async with opened_database(settings.database_url) as database, database.transaction() as tx:
        metric = HealthMetric("rows", "rows", "SELECT count(*) FROM generate_series(1, 7)", 6, 0, "Fewer.")
        assert await measure(tx, [metric]) == {"rows": 7}


def test_the_alert_rules_are_not_stale() -> None:
    written = (ROOT / "deploy/observability/alerts.yaml").read_text(encoding="utf-8")
    assert written == alerts.rules(), "run `make alerts`"
