"""The monthly run: looked at before it is published, given up, or killed in the middle of it."""

import asyncio
import os
import signal
import sys
from typing import Any
from uuid import UUID, uuid4

from chassis.clock import today
from chassis.testing import eventually

PRICE = 425


async def many(town: Any, count: int) -> None:
    """So many households with two booked days each, straight into the tables that events fill."""
    await town.sql(
        "INSERT INTO household SELECT gen_random_uuid(), 1, 'F-' || n, 'Famille ' || n, ARRAY['1 rue de l''École'] "
        "FROM generate_series(1, $1) AS n",
        count,
    )
    await town.sql(
        "INSERT INTO usage (household_id, child_id, activity_id, day, booked, version, child_first_name, "
        "activity_label) SELECT household_id, household_id, $1, day, true, 1, 'Léa', 'Cantine' FROM household, "
        "(VALUES ('2026-11-02'::date), ('2026-11-03'::date)) AS days (day)",
        town.activity,
    )


class Program:
    """A billing service of its own, to be killed."""

    def __init__(self, settings: Any) -> None:
        words = ("database_url", "amqp_url", "auth_url", "town_name", "town_siret", "town_address", "town_contact")
        words += ("till_reference", "till_address")
        self._environment = {**os.environ, **{name.upper(): str(getattr(settings, name)) for name in words}}
        self._environment["HTTP_PORT"] = "0"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "billing",
            env=self._environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )

    async def kill(self) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
        await self._process.wait()


async def test_a_run_is_looked_at_before_it_is_published(town: Any) -> None:
    household = await town.household()
    await town.uses(household, 1, 2)
    begun = await (await town.begin()).json()
    ready = await town.reached(begun["run_id"], "ready")
    assert (ready["invoices"], ready["total_cents"], ready["households"]) == (1, 2 * PRICE, 1)
    assert await town.sql("SELECT count(*) FROM invoice") == 0
    for _ in range(3):
        answer = await town.client.post(f"/invoice-runs/{begun['run_id']}/publish", headers=town.staff())
        assert answer.status == 200
    done = await town.reached(begun["run_id"], "done")
    assert (done["invoices"], done["total_cents"]) == (1, 2 * PRICE)
    told = [(await town.probe.next("billing.run.progressed")).data for _ in range(5)]
    assert [(each["status"], each["households_done"], each["invoices"]) for each in told] == [
        ("drafting", 1, 1),
        ("ready", 1, 1),
        ("publishing", 0, 0),
        ("publishing", 1, 1),
        ("done", 1, 1),
    ]
    assert await town.sql("SELECT count(*) FROM invoice") == 1
    late = await town.client.post(f"/invoice-runs/{begun['run_id']}/cancel", headers=town.staff())
    assert (await late.json(content_type=None))["code"] == "run_moved"


async def test_a_run_that_is_given_up_publishes_nothing_and_frees_the_place(town: Any) -> None:
    household = await town.household()
    await town.uses(household, 1)
    begun = await (await town.begin()).json()
    await town.reached(begun["run_id"], "ready")
    second = await town.begin()
    assert (second.status, (await second.json(content_type=None))["run_id"]) == (409, begun["run_id"])
    assert (await town.client.post(f"/invoice-runs/{begun['run_id']}/cancel", headers=town.staff())).status == 200
    assert (await town.client.post(f"/invoice-runs/{begun['run_id']}/cancel", headers=town.staff())).status == 200
    told = [(await town.probe.next("billing.run.progressed")).data["status"] for _ in range(3)]
    assert told == ["drafting", "ready", "cancelled"]
    refused = await town.client.post(f"/invoice-runs/{begun['run_id']}/publish", headers=town.staff())
    assert refused.status == 409
    assert (await town.run())["invoices"] == 1


async def test_what_changes_between_the_look_and_the_publication_is_invoiced_as_it_is_then(town: Any) -> None:
    household = await town.household()
    await town.uses(household, 1, 2)
    begun = await (await town.begin()).json()
    await town.reached(begun["run_id"], "ready")
    await town.probe.publish(town.booked(household, 2, booked=False))
    await town.until("SELECT count(*) FROM usage WHERE booked", 1)
    await town.client.post(f"/invoice-runs/{begun['run_id']}/publish", headers=town.staff())
    assert (await town.reached(begun["run_id"], "done"))["total_cents"] == PRICE


async def test_an_unusual_amount_and_a_credit_only_household_are_anomalies(town: Any) -> None:
    household, _ = await town.invoiced(1)
    town.activity = uuid4()
    flat = {"kind": "flat", "unit_price_cents": 9_000}
    assert (await town.tariff(activity_id=str(town.activity), formula=flat)).status == 200
    await town.uses(household, 5, 6)
    owed = await town.household()
    await town.uses(owed, 3)
    await town.run()
    await town.probe.publish(town.booked(owed, 3, booked=False))
    await town.until("SELECT count(*) FROM usage WHERE basis IS DISTINCT FROM seen_as", 1)
    begun = await (await town.begin()).json()
    ready = await town.reached(begun["run_id"], "ready")
    kinds = {each["household_id"]: each["kind"] for each in ready["anomalies"]}
    assert kinds == {str(owed): "owes_nothing"}
    first = await town.sql("SELECT run_id FROM invoice_run ORDER BY created_at OFFSET 1 LIMIT 1")
    before = await town.reached(str(first), "done")
    assert [each["kind"] for each in before["anomalies"]] == ["unusual_amount"]


async def test_a_run_killed_in_the_middle_goes_on_and_invoices_everything_once(town: Any) -> None:
    """A second service does the work and is killed again and again; what it leaves is taken up where it stopped."""
    households = 900
    await many(town, households)
    await town.client.server.close()  # only the programs that are killed work on the run
    run_id = await town.sql(
        "INSERT INTO invoice_run (month, due_on, straight, status, requested_by, created_at, after_household, "
        "households) VALUES ('2026-11-01', '2026-12-31', true, 'drafting', $1, now(), $1, $2) RETURNING run_id",
        UUID(int=0),
        households,
    )
    program = Program(town.settings)
    further = (
        "SELECT status <> 'drafting' OR households_done > 0 FROM invoice_run WHERE run_id = $1",
        "SELECT status = 'done' OR status = 'publishing' AND households_done > 0 FROM invoice_run WHERE run_id = $1",
        "SELECT status = 'done' OR households_done > 400 FROM invoice_run WHERE run_id = $1",
    )
    try:
        for query in further:
            await program.start()
            await town.until(query, True, run_id)
            await program.kill()
        await program.start()
        await town.until("SELECT status FROM invoice_run WHERE run_id = $1", "done", run_id)
    finally:
        await program.kill()
    numbers = await town.sql("SELECT array_agg(number ORDER BY number) FROM invoice")
    assert numbers == [f"{today().year}-{number:06d}" for number in range(1, households + 1)]
    assert await town.sql("SELECT count(DISTINCT household_id) FROM invoice") == households
    assert await town.sql("SELECT sum(count)::integer FROM invoice_line") == 2 * households
    assert await town.sql("SELECT count(*) FROM usage WHERE basis IS DISTINCT FROM seen_as") == 0
    assert await town.sql("SELECT invoices FROM invoice_run WHERE run_id = $1", run_id) == households
    await town.balanced()


async def test_parents_pay_while_the_run_is_publishing(town: Any) -> None:
    households = 120
    await many(town, households)
    chosen = await town.sql("SELECT array_agg(household_id) FROM (SELECT * FROM household LIMIT 12) h")
    begun = await (await town.begin(straight=True)).json()

    async def pay(household: UUID) -> None:
        async def appeared() -> Any:
            return (await town.invoices(household))["to_pay"]

        (invoice,) = await eventually(appeared)
        taps = await asyncio.gather(*(town.checkout(household, invoice["invoice_id"]) for _ in range(3)))
        assert sorted(tap.status for tap in taps) == [201, 409, 409]
        (opened,) = [await tap.json() for tap in taps if tap.status == 201]
        await town.probe.publish(town.confirmed(household, opened["checkout_id"], 2 * PRICE))

    await asyncio.gather(*(pay(household) for household in chosen))
    assert (await town.reached(begun["run_id"], "done"))["invoices"] == households
    await town.until("SELECT count(*) FROM ledger_transaction WHERE key LIKE 'payment/%'", len(chosen))
    assert await town.sql("SELECT count(*) FROM checkout WHERE status = 'settled'") == len(chosen)
    assert await town.sql("SELECT sum(amount_cents)::bigint FROM ledger_entry WHERE account = 'receivable'") == (
        2 * PRICE * (households - len(chosen))
    )
    await town.balanced()
