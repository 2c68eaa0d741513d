"""A broker that freezes, loses a queue, or is short of memory: nothing stays in a consumer's hands, and readiness says
what is wrong."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest

from chassis import outbox
from chassis.broker import dead_letter_queue, opened, queue_depth, service_exchange
from chassis.clock import now
from chassis.database import DATABASE, Transaction
from chassis.inbox import PREFETCH, RetryLater
from chassis.metrics import CONSUMED
from chassis.testing import Probe, eventually
from contracts.events.auth import SessionEnded
from contracts.failures import NotFound
from local_stack.rabbit import RabbitServer

QUEUE = "rig.take-note"


def ended() -> SessionEnded:
    return SessionEnded(session_id=uuid4(), ended_at=now())


def given_back() -> float:
    return float(CONSUMED.labels(QUEUE, "requeued")._value.get())


async def depths(url: str, queue: str = QUEUE) -> tuple[int, int] | None:
    """How many messages wait in the queue and how many consume it; None when there is no such queue."""
    async with opened(url) as channel:
        try:
            return await queue_depth(channel, queue)
        except LookupError:
            return None


async def reach(url: str, wanted: tuple[int, int], queue: str = QUEUE) -> None:
    async def ask() -> bool:
        return await depths(url, queue) == wanted

    await eventually(ask)


@pytest.fixture
async def alarm(rabbit: RabbitServer) -> AsyncIterator[Callable[[bool], Awaitable[None]]]:
    """Call it to make the node short of memory, or not; it is not at the end."""

    async def sound(is_on: bool) -> None:
        await rabbit.control("set_vm_memory_high_watermark", "0" if is_on else "0.9")

    yield sound
    await sound(False)


async def test_what_a_frozen_broker_does_not_take_is_given_back_and_done_once(
    rig: Any, probe: Probe, rabbit: RabbitServer, amqp_url: str
) -> None:
    frozen, working = asyncio.Event(), asyncio.Semaphore(0)

    async def refuse_when_frozen(_event: SessionEnded, _tx: Transaction) -> None:
        working.release()
        await frozen.wait()
        if rig.attempts % 2:
            raise RetryLater("not known yet")
        raise NotFound("no such session")

    rig.behave = refuse_when_frozen
    events = [ended() for _ in range(PREFETCH)]
    for event in events:
        await probe.publish(event)
    for _ in events:
        await working.acquire()
    before = given_back()
    rabbit.pause()
    try:
        frozen.set()

        async def all_given_back() -> bool:
            return given_back() == before + PREFETCH

        await eventually(all_given_back)
        rig.behave = rig.note
    finally:
        rabbit.go_on()
    last = ended()
    await probe.publish(last)
    assert sorted(await rig.waits_for(PREFETCH + 1)) == sorted(each.session_id for each in [*events, last])
    await rig.stop()
    await reach(amqp_url, (0, 0))  # what somebody still had in hand would have come back
    assert await depths(amqp_url, dead_letter_queue(QUEUE)) == (0, 0)


async def test_a_consumer_whose_queue_was_deleted_declares_it_and_consumes_again(
    rig: Any, probe: Probe, amqp_url: str
) -> None:
    working, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(event: SessionEnded, tx: Transaction) -> None:
        working.set()
        await go_on.wait()
        await rig.note(event, tx)

    rig.behave = slowly
    in_work, later = ended(), ended()
    await probe.publish(in_work)
    await working.wait()
    await probe.channel.exchange_delete(service_exchange(QUEUE))
    await probe.channel.queue_delete(QUEUE)
    await reach(amqp_url, (0, 1))
    go_on.set()  # what was being worked on is finished
    await rig.waits_for(1)
    await probe.publish(later)
    assert await rig.waits_for(2) == [in_work.session_id, later.session_id]
    await rig.becomes_ready()


async def test_a_broker_short_of_memory_stops_what_publishes_and_nothing_else(
    rig: Any, probe: Probe, alarm: Callable[[bool], Awaitable[None]]
) -> None:
    alarmed = asyncio.Event()

    async def once_alarmed(event: SessionEnded, tx: Transaction) -> None:
        await alarmed.wait()
        await rig.note(event, tx)

    rig.behave = once_alarmed
    before = [ended() for _ in range(PREFETCH + 5)]  # the last ones come once some are acknowledged
    for event in before:
        await probe.publish(event)
    await alarm(True)
    kept = ended()
    async with rig.app[DATABASE].transaction() as tx:  # what must be recorded is, whatever the broker does
        await outbox.add(tx, kept)
    await rig.says("broker", "short of memory or disk")
    alarmed.set()
    assert set(await rig.waits_for(len(before))) == {each.session_id for each in before}
    assert not await rig.is_published()
    await alarm(False)
    assert (await rig.waits_for(len(before) + 1))[-1] == kept.session_id
    await eventually(rig.is_published)
    await rig.becomes_ready()


async def test_what_must_wait_while_the_broker_takes_nothing_waits_in_place_and_comes_back(
    rig: Any, probe: Probe, alarm: Callable[[bool], Awaitable[None]]
) -> None:
    alarmed = asyncio.Event()

    async def second_time(event: SessionEnded, tx: Transaction) -> None:
        await alarmed.wait()
        if rig.attempts == 1:
            raise RetryLater("not known yet")
        await rig.note(event, tx)

    rig.behave = second_time
    event = ended()
    await probe.publish(event)
    await alarm(True)
    await rig.says("broker", "short of memory or disk")
    before = given_back()
    alarmed.set()
    await rig.says("broker", "short of memory or disk")
    await alarm(False)
    assert await rig.waits_for(1) == [event.session_id]
    assert given_back() == before
