"""What `python -m billing verify` checks: every finding with its number, and the rest goes on after each."""

from dataclasses import dataclass, field

from billing.domain import chain
from billing.domain.canonical import Said, document_digest, ledger_digest
from billing.store.chain import documents, ledger_links, ledger_transactions, links
from chassis.database import Database

BATCH = 500
FOUND_MAX = 1_000
"""How many findings of one kind are named; more of a kind have one cause."""

_UNTRUE = {
    "this ledger transaction does not balance": (
        "SELECT t.key FROM ledger_transaction t LEFT JOIN ledger_entry e USING (transaction_id) "
        "GROUP BY t.transaction_id HAVING coalesce(sum(e.amount_cents), 0) <> 0 OR count(e.entry_id) < 2"
    ),
    "these entries belong to no ledger transaction": (
        "SELECT 'transaction ' || transaction_id FROM ledger_entry e WHERE NOT EXISTS "
        "(SELECT FROM ledger_transaction t WHERE t.transaction_id = e.transaction_id) GROUP BY transaction_id"
    ),
    "this ledger transaction is not in the chain of the ledger": (
        "SELECT t.key FROM ledger_transaction t WHERE NOT EXISTS "
        "(SELECT FROM ledger_chain c WHERE c.transaction_id = t.transaction_id)"
    ),
    "the debt of this invoice is not in the ledger": (
        "SELECT i.number FROM invoice i WHERE total_cents IS DISTINCT FROM (SELECT sum(e.amount_cents) "
        "FROM ledger_entry e JOIN ledger_transaction t USING (transaction_id) WHERE e.invoice_id = i.invoice_id "
        "AND t.key = 'invoice/' || i.invoice_id)"
    ),
    "more was paid or credited than this invoice asks": (
        "SELECT i.number FROM invoice i WHERE 0 > (SELECT sum(e.amount_cents) FROM ledger_entry e "
        "WHERE e.invoice_id = i.invoice_id)"
    ),
    "more is left to pay than this invoice asks": (
        "SELECT i.number FROM invoice i WHERE total_cents < (SELECT sum(e.amount_cents) FROM ledger_entry e "
        "WHERE e.invoice_id = i.invoice_id)"
    ),
    "this invoice is not the sum of its lines": (
        "SELECT i.number FROM invoice i WHERE total_cents IS DISTINCT FROM "
        "(SELECT sum(amount_cents) FROM invoice_line l WHERE l.invoice_id = i.invoice_id)"
    ),
    "this credit note is not the sum of its lines": (
        "SELECT c.number FROM credit_note c WHERE total_cents IS DISTINCT FROM "
        "(SELECT sum(amount_cents) FROM credit_note_line l WHERE l.credit_note_id = c.credit_note_id)"
    ),
    "this document is not in the chain": (
        "SELECT number FROM (SELECT number FROM invoice UNION ALL SELECT number FROM credit_note) d "
        "WHERE NOT EXISTS (SELECT FROM document_chain c WHERE c.number = d.number)"
    ),
    "the money of this receipt is not in the ledger": (
        "SELECT r.number FROM receipt r WHERE amount_cents IS DISTINCT FROM (SELECT sum(e.amount_cents) "
        "FROM ledger_entry e JOIN ledger_transaction t USING (transaction_id) WHERE e.account = 'bank' "
        "AND t.key = 'receipt/' || r.receipt_id)"
    ),
    "what is kept as left to pay is not what the ledger says": (
        "SELECT i.number FROM invoice i LEFT JOIN invoice_balance b USING (invoice_id) WHERE b.left_cents "
        "IS DISTINCT FROM (SELECT sum(e.amount_cents) FROM ledger_entry e WHERE e.invoice_id = i.invoice_id)"
    ),
    "the counter of this series is not at its last number": (
        "SELECT series || year FROM document_counter c WHERE last <> (SELECT count(*) FROM "
        "(SELECT number FROM invoice UNION ALL SELECT number FROM credit_note UNION ALL SELECT number FROM receipt) d "
        "WHERE number ~ ('^' || series || year || '-'))"
    ),
}
"""Each finding, and the query of the numbers or keys that it is true of."""


@dataclass
class Proof:
    """What was checked and what is wrong."""

    documents: int = 0
    movements: int = 0
    last_hash: str = ""
    last_ledger_hash: str = ""
    wrong: list[str] = field(default_factory=list)


async def prove(database: Database) -> Proof:
    """Follow both chains from the first link to the last, then check what the tables say of each other."""
    proof = Proof()
    await _follow_documents(database, proof)
    await _follow_ledger(database, proof)
    async with database.transaction() as tx:
        await tx.execute("SET LOCAL statement_timeout = 0")  # whole tables, of all the years
        for what, query in _UNTRUE.items():
            found = [row[0] for row in await tx.fetch(query, timeout=3_600)]
            proof.wrong += [f"{name}: {what}" for name in sorted(found[:FOUND_MAX])]
            if len(found) > FOUND_MAX:
                proof.wrong.append(f"{len(found) - FOUND_MAX} more: {what}")
    return proof


async def _follow_documents(database: Database, proof: Proof) -> None:
    last, numbers = None, list[str]()
    while True:
        async with database.transaction() as tx:
            found = await links(tx, after=last.position if last else 0, limit=BATCH)
            said = await documents(tx, [each.number for each in found])
        if not found:
            break
        digests = [_digest(said.get(each.number), each.version) for each in found]
        proof.wrong += chain.broken(last, found, digests)
        numbers += [each.number for each in found]
        last = found[-1]
    proof.documents, proof.last_hash = len(numbers), last.hash.hex() if last else ""
    proof.wrong += [f"{number}: this number is missing" for number in chain.gaps(numbers)]


def _digest(said: Said | None, version: int) -> bytes | None:
    """What a document says now, in the written form of its link; None when it is not there."""
    return document_digest(said, version) if said else None


async def _follow_ledger(database: Database, proof: Proof) -> None:
    last = None
    while True:
        async with database.transaction() as tx:
            found = await ledger_links(tx, after=last.position if last else 0, limit=BATCH)
            kept = await ledger_transactions(tx, [transaction_id for _, transaction_id in found])
        if not found:
            break
        digests = [ledger_digest(*kept[each]) if each in kept else None for _, each in found]
        of_links = [link for link, _ in found]
        proof.wrong += chain.broken(last, of_links, digests, "the ledger does not say what was entered")
        last, proof.movements = of_links[-1], proof.movements + len(found)
    proof.last_ledger_hash = last.hash.hex() if last else ""
