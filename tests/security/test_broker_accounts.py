"""A program at a real broker: its own events and queues, and nothing of another's, account by account."""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import ChannelClosed

from chassis.broker import Broker, Delivery, Message, QueueSpec, declare, opened, publish, waiting_messages
from chassis.broker_accounts import EVENTS_EXCHANGE, definitions
from chassis.tasks import cancel_and_wait
from chassis.testing import eventually
from contracts.events import EVENT_NAMESPACES, EVENTS, LIVE_EVENTS
from contracts.failures import Unavailable
from deploy.compose import make_secrets
from deploy.helm import draw_secrets
from local_stack.rabbit import RabbitServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUEUE = "billing.on-payment-confirmed"
ACCOUNTS = (*EVENT_NAMESPACES, "gateway")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that the broker's own user can reach."""
    made = Path(tempfile.mkdtemp(prefix="preau-accounts-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def broker(folder: Path) -> AsyncIterator[RabbitServer]:
    passwords = {name: secrets.token_hex(8) for name in ACCOUNTS}
    server = RabbitServer(folder, password=secrets.token_hex(8), accounts=passwords)
    await server.start()
    await declare(server.url(), [QueueSpec(QUEUE, ("payment.confirmed",))], (10,))
    yield server
    await server.stop()


@pytest.mark.parametrize("name", ACCOUNTS)
async def test_only_the_program_whose_event_it_is_can_say_it(broker: RabbitServer, name: str) -> None:
    async def say(event: str) -> None:
        async with opened(broker.url(account=name)) as channel:
            exchange = await channel.get_exchange(EVENTS_EXCHANGE)
            await publish(exchange, Message(b"{}", "one", event))

    for event in sorted(EVENTS):
        if EVENT_NAMESPACES.get(name) == event.partition(".")[0]:
            await say(event)
        else:
            with pytest.raises(ChannelClosed, match="ACCESS_REFUSED"):
                await say(event)


Try = Callable[[AbstractChannel], Awaitable[object]]


async def _send(channel: AbstractChannel, exchange: str, key: str) -> None:
    to = await channel.get_exchange(exchange, ensure=False) if exchange else channel.default_exchange
    await publish(to, Message(b"{}", "one", key))


async def _take(channel: AbstractChannel) -> object:
    return await (await channel.get_queue(QUEUE)).get(fail=False)


OTHERS: dict[str, Try] = {
    "straight into the queue": lambda channel: _send(channel, "", QUEUE),
    "by the exchange of its queues": lambda channel: _send(channel, "billing.queues", QUEUE),
    "by its delay": lambda channel: _send(channel, "billing.delay.10000ms", QUEUE),
    "taking its messages": _take,
    "deleting its queue": lambda channel: channel.queue_delete(QUEUE),
    "a queue of one's own": lambda channel: channel.declare_queue("notifier.more", durable=True),
    "an exchange of one's own": lambda channel: channel.declare_exchange("preau.more"),
}


@pytest.mark.parametrize("attempt", OTHERS)
@pytest.mark.parametrize("name", ["notifier", "gateway"])
async def test_nothing_of_another_program_can_be_reached(broker: RabbitServer, name: str, attempt: str) -> None:
    with pytest.raises(ChannelClosed, match="ACCESS_REFUSED"):
        async with opened(broker.url(account=name)) as channel:
            await OTHERS[attempt](channel)


async def test_its_own_queue_is_a_programs_to_take_from_park_and_delay(broker: RabbitServer) -> None:
    async with opened(broker.url(account="billing")) as channel:
        await _take(channel)
        await _send(channel, "billing.queues", f"{QUEUE}.parked")
        await _send(channel, "billing.delay.10000ms", QUEUE)
        assert await waiting_messages(channel, f"{QUEUE}.parked") >= 1


async def test_live_updates_pass_to_the_gateway(broker: RabbitServer) -> None:
    async with opened(broker.url(account="gateway")) as channel:
        queue = await channel.declare_queue(exclusive=True, auto_delete=True)
        for each in LIVE_EVENTS:
            await queue.bind(await channel.get_exchange(EVENTS_EXCHANGE), each.type)
        async with opened(broker.url(account="payment-gateway")) as other:
            await publish(await other.get_exchange(EVENTS_EXCHANGE), Message(b"{}", "one", "payment.confirmed"))
        assert await queue.get(timeout=5)


WIDER = ("#", "*.#", "auth.#", "auth.*.*", "payment.*", "payment.#", "billing.run.*", "payment_confirmed")
KEYS = sorted({*EVENTS, *WIDER})


@pytest.mark.parametrize("name", ACCOUNTS)
async def test_only_the_gateway_can_listen_and_only_to_what_it_shows(broker: RabbitServer, name: str) -> None:
    """Each key tried by itself: a refusal ends the channel, and with it the queue."""
    bound = set()
    for key in KEYS:
        with contextlib.suppress(ChannelClosed):
            async with opened(broker.url(account=name)) as channel:
                queue = await channel.declare_queue(exclusive=True, auto_delete=True)
                await queue.bind(await channel.get_exchange(EVENTS_EXCHANGE), key)
                bound.add(key)
    assert bound == ({each.type for each in LIVE_EVENTS} if name == "gateway" else set())


@pytest.mark.parametrize("name", ACCOUNTS)
async def test_nobody_listens_at_another_exchange_or_ties_two_together(broker: RabbitServer, name: str) -> None:
    for source in ("preau.unrouted", "preau.probe", "billing.queues", "amq.topic"):
        with pytest.raises(ChannelClosed, match="ACCESS_REFUSED"):
            async with opened(broker.url(account=name)) as channel:
                queue = await channel.declare_queue(exclusive=True, auto_delete=True)
                await queue.bind(await channel.get_exchange(source, ensure=False), "#")
    with pytest.raises(ChannelClosed, match="ACCESS_REFUSED"):
        async with opened(broker.url(account=name)) as channel:
            events = await channel.get_exchange(EVENTS_EXCHANGE)
            await (await channel.get_exchange("preau.probe", ensure=False)).bind(events, "#")


def _by_compose(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """As ``docker compose up`` writes it, over a file that an older version wrote."""
    monkeypatch.setattr(make_secrets, "ROOT", folder)
    monkeypatch.setattr(make_secrets, "GIVEN", folder / "none")
    monkeypatch.setattr(os, "chown", lambda *_: None)
    for each in (*make_secrets.PROGRAMS, *make_secrets.SET_UPS, *make_secrets.OWNERS):
        (folder / each).mkdir()
    old = {**definitions(["preau"], dict.fromkeys(ACCOUNTS, "secret")), "permissions": [], "topic_permissions": []}
    (folder / "rabbitmq/definitions.json").write_text(json.dumps(old), encoding="utf-8")
    make_secrets.main([])
    written: dict[str, Any] = json.loads((folder / "rabbitmq/definitions.json").read_text(encoding="utf-8"))
    return written


def _by_chart() -> dict[str, Any]:
    drawn = next(each for each in draw_secrets.drawn("p", "r") if each["metadata"]["name"] == "preau-rabbitmq")
    written: dict[str, Any] = json.loads(drawn["stringData"]["definitions.json"])
    return written


async def test_every_way_to_run_gives_the_permissions_that_are_tried_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make run` has those of this broker."""
    tried = definitions(["preau"], dict.fromkeys(ACCOUNTS, ""))
    for written in (_by_compose(tmp_path, monkeypatch), _by_chart()):
        for kind in ("permissions", "topic_permissions"):
            assert {each["user"]: each for each in tried[kind]}.items() <= {
                each["user"]: each for each in written[kind]
            }.items()


@pytest.mark.parametrize("name", ACCOUNTS)
async def test_readiness_can_be_probed(broker: RabbitServer, name: str) -> None:
    program = Broker(broker.url(account=name), name=name)
    await program.start()
    try:
        async with program.publishing():
            await program.check()
    finally:
        await program.stop()


async def test_a_queue_that_is_missing_and_may_not_be_declared_is_named_and_consumed_once_it_is_there(
    broker: RabbitServer,
) -> None:
    payload, heard = QueueSpec("billing.on-payment-refused", ("payment.refused",)), asyncio.Event()
    await declare(broker.url(), [payload], (10,))

    async def hear(delivery: Delivery) -> None:
        await delivery.acknowledge()
        heard.set()

    async def consumes(*, is_well: bool) -> None:
        async def ask() -> bool:
            try:
                await program.check_consumers()
            except Unavailable as told:
                return not is_well and f"{payload.name}: the queue is missing" in told.detail
            return is_well

        await eventually(ask)

    program = Broker(broker.url(account="billing"), name="billing")
    await program.start()
    consuming = asyncio.create_task(program.consume(payload, hear, prefetch=1, delays_seconds=(10,)))
    try:
        await consumes(is_well=True)
        async with opened(broker.url()) as channel:
            await channel.queue_delete(payload.name)
        await consumes(is_well=False)
        await declare(broker.url(), [payload], (10,))
        await consumes(is_well=True)
        async with opened(broker.url(account="payment-gateway")) as other:
            message = Message(b"{}", "one", "payment.refused")
            await publish(await other.get_exchange(EVENTS_EXCHANGE, ensure=False), message)
        await heard.wait()
    finally:
        await cancel_and_wait(consuming)
        await program.stop()
