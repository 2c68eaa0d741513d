"""What `python -m billing verify` checks."""

from dataclasses import dataclass, field

from billing.domain import chain
from billing.store.chain import links
from billing.store.credit_notes import credit_note
from billing.store.invoices import invoice
from chassis.database import Database, Transaction

BATCH = 200

_UNTRUE = {
    "ledger transactions that do not balance": (
        "SELECT count(*) FROM (SELECT 1 FROM ledger_entry GROUP BY transaction_id HAVING sum(amount_cents) <> 0) t"
    ),
    "invoices whose debt is not in the ledger": (
        "SELECT count(*) FROM invoice i WHERE total_cents IS DISTINCT FROM (SELECT e.amount_cents FROM ledger_entry e "
        "JOIN ledger_transaction t USING (transaction_id) WHERE e.invoice_id = i.invoice_id "
        "AND t.key = 'invoice/' || i.invoice_id)"
    ),
    "invoices that are not the sum of their lines": (
        "SELECT count(*) FROM invoice i WHERE total_cents <> "
        "(SELECT sum(amount_cents) FROM invoice_line l WHERE l.invoice_id = i.invoice_id)"
    ),
    "published documents that are not in the chain": (
        "SELECT count(*) FROM (SELECT number FROM invoice UNION ALL SELECT number FROM credit_note) d "
        "WHERE NOT EXISTS (SELECT FROM document_chain c WHERE c.number = d.number)"
    ),
}


@dataclass
class Proof:
    """What was checked and what is wrong."""

    documents: int = 0
    movements: int = 0
    last_hash: str = ""
    wrong: list[str] = field(default_factory=list)


async def prove(database: Database) -> Proof:
    """Follow the chain from its first document to its last, then check the ledger."""
    proof, last, numbers = Proof(), None, []
    while True:
        async with database.transaction() as tx:
            found = await links(tx, after=last.position if last else 0, limit=BATCH)
            digests = [await _digest(tx, each.number) for each in found]
        if not found:
            break
        proof.wrong += chain.broken(last, found, digests)
        numbers += [each.number for each in found]
        last = found[-1]
    proof.documents, proof.last_hash = len(numbers), last.hash.hex() if last else ""
    proof.wrong += [f"{number}: this number is missing" for number in chain.gaps(numbers)]
    async with database.transaction() as tx:
        proof.movements = await tx.fetchval("SELECT count(*) FROM ledger_transaction")
        for what, query in _UNTRUE.items():
            if count := await tx.fetchval(query):
                proof.wrong.append(f"{what}: {count}")
    return proof


async def _digest(tx: Transaction, number: str) -> bytes | None:
    """What a published document says now; None when it is not there."""
    if number.startswith("A-"):
        row = await tx.fetchrow("SELECT household_id, credit_note_id FROM credit_note WHERE number = $1", number)
        note = await credit_note(tx, *row) if row else None
        return chain.digest(note) if note else None
    row = await tx.fetchrow("SELECT household_id, invoice_id FROM invoice WHERE number = $1", number)
    model = await invoice(tx, *row) if row else None
    return chain.digest(model) if model else None
