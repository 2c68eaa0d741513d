"""From an outbox row to a listener's effect, over the real broker: once, later, or parked, never lost."""

import json
from typing import Any
from uuid import uuid4

import pytest

from chassis import dead_letters, inbox, outbox
from chassis.broker import UNROUTED, Message, publish, take
from chassis.broker_accounts import EVENTS_EXCHANGE
from chassis.clock import now
from chassis.database import DATABASE, Transaction
from chassis.inbox import RetryLater
from chassis.testing import Probe, eventually
from contracts.events.auth import HouseholdChanged, SessionEnded
from contracts.failures import NotFound


def ended() -> SessionEnded:
    return SessionEnded(session_id=uuid4(), ended_at=now())


async def test_events_leave_after_the_commit_and_never_without_it(rig: Any, probe: Probe) -> None:
    kept, lost = ended(), ended()
    with pytest.raises(RuntimeError, match="changed my mind"):
        async with rig.app[DATABASE].transaction() as tx:
            await outbox.add(tx, lost)
            raise RuntimeError("changed my mind")
    async with rig.app[DATABASE].transaction() as tx:
        await outbox.add(tx, kept)
        await probe.none(SessionEnded.type, seconds=0.5)
    envelope = await probe.next(SessionEnded.type)
    assert envelope.event() == kept
    assert envelope.source == "rig"
    assert await rig.waits_for(1) == [kept.session_id]


async def test_a_burst_leaves_in_order_and_empties_the_outbox(rig: Any, probe: Probe) -> None:
    events = [ended() for _ in range(450)]
    async with rig.app[DATABASE].transaction() as tx:
        await outbox.add(tx, *events)
    heard = [(await probe.next(SessionEnded.type)).data["session_id"] for _ in events]
    assert heard == [str(event.session_id) for event in events]
    await rig.waits_for(450)
    assert await eventually(rig.is_published)


async def test_what_was_published_is_said_again_and_heard_by_who_lost_it_alone(rig: Any, probe: Probe) -> None:
    first, second = ended(), ended()
    async with rig.app[DATABASE].transaction() as tx:
        await outbox.add(tx, first, second)
    await rig.waits_for(2)
    async with rig.app[DATABASE].transaction() as tx:
        lost = await tx.fetchval("SELECT event_id FROM outbox ORDER BY position LIMIT 1")
        await tx.execute("DELETE FROM effect WHERE session_id = $1", first.session_id)
        await tx.execute("DELETE FROM inbox WHERE event_id = $1", lost)
    for _ in range(2):
        await probe.next(SessionEnded.type)
    await eventually(rig.is_published)
    assert await outbox.republish(rig.settings.database_url, ["--since", "2020-01-01T00:00+00:00"]) == 0
    again = [(await probe.next(SessionEnded.type)).data["session_id"] for _ in range(2)]
    assert again == [str(first.session_id), str(second.session_id)]
    assert set(await rig.waits_for(2)) == {first.session_id, second.session_id}


@pytest.mark.parametrize(
    "words", [[], ["2026-11-24"], ["--since", "yesterday"], ["--since", "2026-11-24", "2026-11-25"]]
)
async def test_an_unclear_instant_says_nothing_again(rig: Any, words: list[str]) -> None:
    assert await outbox.republish(rig.settings.database_url, words) == 2


async def test_what_is_older_than_it_is_kept_goes(rig: Any) -> None:
    async with rig.app[DATABASE].transaction() as tx:
        await outbox.add(tx, ended(), ended())
    await rig.waits_for(2)
    await eventually(rig.is_published)
    async with rig.app[DATABASE].transaction() as tx:
        await tx.execute("UPDATE outbox SET published_at = now() - interval '31 days' WHERE position = 1")
        await tx.execute(
            "UPDATE inbox SET received_at = now() - interval '61 days' WHERE event_id = "
            "(SELECT event_id FROM outbox WHERE position = 1)"
        )
    await outbox.delete_expired(rig.app[DATABASE], 30)
    await inbox.delete_expired(rig.app[DATABASE], 60)
    async with rig.app[DATABASE].transaction() as tx:
        assert await tx.fetchval("SELECT array_agg(position) FROM outbox") == [2]
        assert await tx.fetchval("SELECT count(*) FROM inbox") == 1


async def test_the_same_event_ten_times_has_one_effect(rig: Any, probe: Probe) -> None:
    event, last = ended(), ended()
    await probe.publish(event, times=10)
    await probe.publish(last)
    found = await rig.waits_for(2)
    assert sorted(map(str, found)) == sorted([str(event.session_id), str(last.session_id)])


async def test_what_cannot_be_done_yet_is_done_later(rig: Any, probe: Probe) -> None:
    async def third_time(event: SessionEnded, tx: Transaction) -> None:
        await rig.note(event, tx)  # rolled back with the rest
        if rig.attempts < 3:
            raise RetryLater("the household is not known yet")

    rig.behave = third_time
    event = ended()
    await probe.publish(event)
    assert await rig.waits_for(1) == [event.session_id]
    assert rig.attempts == 3


async def parked(rig: Any, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    async def ask() -> list[str]:
        assert await dead_letters.run(rig.settings.amqp_url, rig.consumers, ["list"]) == 0
        return capsys.readouterr().out.splitlines()

    return [json.loads(line) for line in await eventually(ask)]


async def test_what_keeps_failing_is_parked_listed_replayed(
    rig: Any, probe: Probe, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fails(_event: SessionEnded, _tx: Transaction) -> None:
        raise ZeroDivisionError("a defect")

    rig.behave = fails
    event = ended()
    event_id = await probe.publish(event)
    (line,) = await parked(rig, capsys)
    assert line["message_id"] == str(event_id)
    assert line["queue"] == "rig.take-note"
    assert line["attempts"] == 3
    assert "a defect" in line["reason"]
    rig.behave = rig.note
    assert await dead_letters.run(rig.settings.amqp_url, rig.consumers, ["replay", "rig.take-note", str(event_id)]) == 0
    assert await rig.waits_for(1) == [event.session_id]
    capsys.readouterr()
    assert await dead_letters.run(rig.settings.amqp_url, rig.consumers, ["list"]) == 0
    assert capsys.readouterr().out == ""


async def test_a_refusal_and_an_unreadable_message_are_parked_at_once_and_can_be_dropped(
    rig: Any, probe: Probe, capsys: pytest.CaptureFixture[str]
) -> None:
    async def refuses(_event: SessionEnded, _tx: Transaction) -> None:
        raise NotFound("no such session")

    rig.behave = refuses
    await probe.publish(ended())
    (line,) = await parked(rig, capsys)
    assert line["reason"] == "not_found: no such session"
    assert (
        await dead_letters.run(rig.settings.amqp_url, rig.consumers, ["drop", line["queue"], line["message_id"]]) == 0
    )
    assert "session_id" in capsys.readouterr().out
    exchange = await probe.channel.get_exchange(EVENTS_EXCHANGE)
    await publish(exchange, Message(b"{not json", "broken-1", SessionEnded.type))
    (line,) = await parked(rig, capsys)
    assert line["message_id"] == "broken-1"
    assert rig.attempts == 1


async def test_wrong_words_show_the_usage(rig: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert await dead_letters.run(rig.settings.amqp_url, rig.consumers, ["replay", "no.such-queue"]) == 2
    assert "rig.take-note" in capsys.readouterr().err


async def test_an_event_nobody_listens_to_is_kept_aside(rig: Any, probe: Probe) -> None:
    exchange = await probe.channel.get_exchange(EVENTS_EXCHANGE)
    await probe.unbind()
    await publish(exchange, Message(b"{}", "lonely", "nobody.listens"))
    found = await eventually(lambda: take(probe.channel, UNROUTED, 1))
    assert found[0].message.message_id == "lonely"
    await found[0].acknowledge()


async def test_only_what_the_broker_confirmed_is_published_and_the_rest_leaves_later(rig: Any, probe: Probe) -> None:
    await rig.becomes_ready()
    await probe.channel.exchange_delete(EVENTS_EXCHANGE)
    events = await probe.channel.declare_exchange(EVENTS_EXCHANGE, "topic", durable=True)  # nothing is kept aside
    lonely = HouseholdChanged(
        household_id=uuid4(), version=1, reference="F001", name="Exemple", address=(), active=True, children=()
    )
    first, last = ended(), ended()
    async with rig.app[DATABASE].transaction() as tx:
        await outbox.add(tx, first, lonely, last)
    await (await probe.channel.get_queue("rig.take-note")).bind(events, SessionEnded.type)
    assert set(await rig.waits_for(2)) == {first.session_id, last.session_id}

    async def the_lonely_one_waits() -> bool:
        async with rig.app[DATABASE].reading() as look:
            found = await look.fetch("SELECT type FROM outbox WHERE published_at IS NULL")
        return [row["type"] for row in found] == [lonely.type]

    await eventually(the_lonely_one_waits)
    elsewhere = await probe.channel.declare_queue(exclusive=True, auto_delete=True)
    await elsewhere.bind(events, lonely.type)
    await eventually(rig.is_published)
    assert (await elsewhere.get(timeout=10)).routing_key == lonely.type
