"""Of a household that was erased billing keeps what accounting law keeps, and nothing else."""

from typing import Any

import asyncpg

from chassis.testing import columns_with
from contracts.events.auth import HouseholdChanged

ACCOUNTING = {
    "invoice.household_name",
    "invoice.household_address",
    "invoice_line.child_first_name",
    "credit_note.household_name",
    "credit_note.household_address",
    "credit_note_line.child_first_name",
}


async def test_no_table_but_the_documents_holds_anything_of_an_erased_household(town: Any) -> None:
    child = town.child("Marie-Aude")
    household = await town.household(child)
    await town.uses(household, 1, 2, child=child.child_id)
    await town.run()
    (invoice,) = (await town.invoices(household))["to_pay"]
    await town.opened(household, invoice["invoice_id"])
    note = {"amount_cents": 100, "reason": "geste"}
    path = f"invoices/{invoice['invoice_id']}/credit-notes"
    assert (await town.decides(household, path, note)).status == 201
    await town.until("SELECT count(*) FROM outbox WHERE published_at IS NULL", 0)
    texts = ("Léa", "Marie-Aude", "Famille Exemple", "1 rue de l'École", "École Jacques-Prévert")
    connection = await asyncpg.connect(town.settings.database_url)
    before = await columns_with(connection, *texts)
    assert {"child.first_name", "outbox.data", "usage.child_first_name", "household.name"} <= before
    erased = {"name": "(effacé)", "address": ("(effacé)",), "children": (), "active": False, "erased": True}
    reference = household.hex[:8]
    event = HouseholdChanged(household_id=household, version=2, reference=reference, **erased)
    await town.probe.publish(event)
    await town.until("SELECT count(*) FROM household WHERE erased", 1)
    assert await columns_with(connection, *texts) <= ACCOUNTING
    assert await town.sql("SELECT birth_date::text FROM child") == "1900-01-02"
    # What is heard of its days afterwards comes without a name too.
    await town.probe.publish(town.booked(household, 2, booked=False, child=child.child_id))
    await town.until("SELECT count(*) FROM usage WHERE NOT booked", 1)
    assert await columns_with(connection, *texts) <= ACCOUNTING
    await connection.close()
