"""Usage built anew from a replay of what planning told is the usage that was heard event by event."""

import random
from pathlib import Path
from typing import Any

from billing.__main__ import rebuild
from chassis.event_file import written
from contracts.events import Event
from contracts.events.planning import Presence

PRICE = 425
USAGE = (
    "SELECT jsonb_agg(to_jsonb(u) ORDER BY household_id, child_id, activity_id, day) FROM usage u "
    "WHERE version > 0 OR presence IS NOT NULL"
)


def told(tmp_path: Path, events: list[Event]) -> str:
    """A file as planning writes it, but in whatever order."""
    path = tmp_path / "told.ndjson"
    path.write_text("".join(written(each) for each in random.sample(events, len(events))), encoding="utf-8")
    return str(path)


async def a_month(town: Any) -> tuple[Any, list[Event]]:
    """A month that was booked, attended and invoiced, with days that changed afterwards; and every event of it."""
    assert (await town.tariff(attendance={"extra_cents": 200})).status == 200
    household, other = await town.household(), await town.household()
    events: list[Event] = [town.booked(household, 1, 2, 3), town.booked(other, 4, 5)]
    events += [town.marked(household, day, Presence.PRESENT, version=1) for day in (1, 9)]
    await hear(town, events)
    await town.run()
    later = [
        town.booked(household, 3, booked=False),
        town.marked(household, 1, Presence.JUSTIFIED, version=2),
        town.marked(other, 4, Presence.ABSENT, version=1),
    ]
    await hear(town, later)
    return household, [*events, *later]


async def hear(town: Any, events: list[Event]) -> None:
    before = await town.sql("SELECT count(*) FROM inbox")
    for event in events:
        await town.probe.publish(event)
    await town.until("SELECT count(*) FROM inbox", before + len(events))


async def test_the_rebuilt_usage_is_the_one_that_was_heard(town: Any, tmp_path: Path, capsys: Any) -> None:
    _household, events = await a_month(town)
    was = await town.sql(USAGE)
    file = told(tmp_path, events)
    assert await rebuild(town.settings, [file]) == 0
    assert capsys.readouterr().out == f"{len(events)} events, 6 days, 0 not as they were\n"
    assert await town.sql(USAGE) == was
    assert await rebuild(town.settings, [file]) == 0
    assert await town.sql(USAGE) == was


async def test_what_was_lost_or_spoilt_comes_back_and_is_invoiced_once(town: Any, tmp_path: Path, capsys: Any) -> None:
    _household, events = await a_month(town)
    was = await town.sql(USAGE)
    await town.sql("UPDATE usage SET booked = NOT booked WHERE day = '2026-11-03'")
    await town.sql("UPDATE usage SET presence = NULL WHERE day = '2026-11-02'")
    file = told(tmp_path, events)
    assert await rebuild(town.settings, [file, "--check"]) == 0
    assert "2 not as they were" in capsys.readouterr().out
    assert await town.sql(USAGE) != was
    assert await rebuild(town.settings, [file]) == 0
    assert await town.sql(USAGE) == was
    await town.run()
    assert (await town.run())["invoices"] == 0
    await town.balanced()


async def test_a_file_that_is_older_than_what_was_heard_changes_nothing(town: Any, tmp_path: Path, capsys: Any) -> None:
    household, events = await a_month(town)
    file = told(tmp_path, events)
    for news in (town.booked(household, 20), town.marked(household, 1, Presence.ABSENT, version=3)):
        await hear(town, [news])
        was = await town.sql(USAGE)
        assert await rebuild(town.settings, [file]) == 1
        assert "newer news than the file holds" in capsys.readouterr().out
        assert await town.sql(USAGE) == was
        file = told(tmp_path, events := [*events, news])


async def test_a_file_that_cannot_be_read_changes_nothing(town: Any, tmp_path: Path, capsys: Any) -> None:
    await a_month(town)
    was = await town.sql(USAGE)
    path = tmp_path / "wrong.ndjson"
    for line in ("nonsense", '{"type": "planning.bookings.changed", "data": {}}', '{"type": "no.such"}'):
        path.write_text(line + "\n", encoding="utf-8")
        assert await rebuild(town.settings, [str(path)]) == 1
        assert "line 1 is not an event" in capsys.readouterr().out
    assert await town.sql(USAGE) == was
