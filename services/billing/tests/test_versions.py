"""Two editors: the second is told, and nothing is overwritten."""

from typing import Any
from uuid import uuid4

from contracts.api.reminders import ReminderRule
from contracts.api.tariffs import Tariff, TermsKnown
from contracts.versions import NONE_YET, version_of


async def put(town: Any, path: str, body: Any, version: str | None) -> tuple[int, str]:
    headers = {**town.staff(), **({"If-Match": f'"{version}"'} if version is not None else {})}
    response = await town.client.put(path, json=body, headers=headers)
    return response.status, (await response.json(content_type=None)).get("code", "")


async def test_the_second_editor_of_a_rule_of_reminders_is_told(town: Any) -> None:
    seen = version_of(ReminderRule())
    assert await put(town, "/reminders/rule", {"days": [7, 21]}, seen) == (200, "")
    assert await put(town, "/reminders/rule", {"days": [10]}, seen) == (409, "changed_meanwhile")
    assert await town.sql("SELECT count(*) FROM reminder_rule") == 1
    assert await put(town, "/reminders/rule", {"days": [10]}, version_of(ReminderRule(days=(7, 21)))) == (200, "")


async def test_the_second_editor_of_a_tariff_is_told_and_a_new_one_takes_no_place(town: Any) -> None:
    tariff_id = uuid4()
    payload = {
        "label": "Été",
        "activity_id": str(uuid4()),
        "activity_label": "Centre",
        "valid_from": "2026-01-01",
        "formula": {"kind": "flat", "unit_price_cents": 900},
    }
    path = f"/tariffs/{tariff_id}"
    assert await put(town, path, payload, NONE_YET) == (200, "")
    assert await put(town, path, {**payload, "label": "Autre"}, NONE_YET) == (409, "changed_meanwhile")
    seen = version_of(Tariff.model_validate({**payload, "tariff_id": tariff_id}))
    assert await put(town, path, {**payload, "valid_until": "2026-12-31"}, seen) == (200, "")
    assert await put(town, path, {**payload, "valid_until": "2026-06-30"}, seen) == (409, "changed_meanwhile")
    gone = await town.client.delete(path, headers={**town.staff(), "If-Match": f'"{seen}"'})
    assert gone.status == 409
    assert await town.sql("SELECT valid_until::text FROM tariff WHERE tariff_id = $1", tariff_id) == "2026-12-31"


async def test_the_second_who_writes_a_quotient_is_told(town: Any) -> None:
    household = await town.household()
    seen, path = version_of(TermsKnown(terms=())), f"/households/{household}/terms/2026-09-01"
    assert await put(town, path, {"quotient_cents": 84_500}, seen) == (200, "")
    assert await put(town, path, {"quotient_cents": 12_000}, seen) == (409, "changed_meanwhile")
    assert await town.sql("SELECT array_agg(quotient_cents) FROM household_terms") == [84_500]
