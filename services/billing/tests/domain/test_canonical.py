"""What is hashed for ever has digests that are written here: whoever changes a form finds every document changed."""

import hashlib
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.domain.canonical import document_digest, ledger_digest, written

ISSUER = {
    "till": "Régie enfance, « guichet »\\3",
    "town": "Ville de Saint-Aubin",
    "siret": "21560000100018",
    "address": "1 place de la Mairie, 56700 Saint-Aubin",
    "contact": "mairie@saint-aubin.example",
}
HOUSEHOLD = UUID(int=5)
AT = datetime(2026, 12, 1, 9, 30, 0, 120_000, tzinfo=UTC)
INVOICE: dict[str, Any] = {
    "invoice_id": UUID("00000000-0000-4000-8000-000000000001"),
    "run_id": UUID(int=1),
    "number": "2026-000001",
    "household_id": HOUSEHOLD,
    "month": date(2026, 11, 1),
    "published_at": AT,
    "published_on": date(2026, 12, 1),
    "due_on": date(2026, 12, 31),
    "total_cents": 1_275,
    "issuer": ISSUER,
    "household_name": 'Famille d\'Été "Exemple" \x01\t\u2028 \U0001f600',
    "household_reference": "F-0001",
    "household_address": ["1 rue de l'École", "56700 Saint-Aubin"],
    "lines": [
        {
            "child_id": UUID(int=9),
            "child_first_name": "Léa",
            "activity_label": "Cantine",
            "childcare": True,
            "count": 3,
            "unit_price_cents": 425,
            "amount_cents": 1_275,
            "explanation": "Tarif unique",
        },
        {
            "child_id": None,
            "child_first_name": "Zoé",
            "activity_label": "Cantine",
            "childcare": False,
            "count": -1,
            "unit_price_cents": 0,
            "amount_cents": 0,
            "explanation": "Rendu",
        },
    ],
}
CREDIT_NOTE: dict[str, Any] = {
    "credit_note_id": UUID(int=3),
    "number": "A-2026-000001",
    "invoice_id": UUID(int=4),
    "invoice_number": "2026-000001",
    "household_id": HOUSEHOLD,
    "published_at": AT,
    "published_on": date(2026, 12, 2),
    "total_cents": 450,
    "reason": "Erreur de saisie",
    "issuer": ISSUER,
    "household_name": "Famille",
    "household_reference": "F-0001",
    "household_address": [],
    "lines": [
        {
            "child_first_name": "Léa",
            "label": "Cantine",
            "count": 1,
            "unit_credit_cents": 425,
            "amount_cents": 425,
        },
        {"child_first_name": None, "label": "Geste", "count": 1, "unit_credit_cents": 25, "amount_cents": 25},
    ],
}
TRANSACTION: dict[str, Any] = {
    "transaction_id": 7,
    "key": "payment/00000000-0000-0000-0000-000000000002",
    "at": AT,
    "day": date(2026, 12, 1),
    "note": None,
}
ENTRIES: list[dict[str, Any]] = [
    {
        "entry_id": 15,
        "account": "bank",
        "household_id": HOUSEHOLD,
        "invoice_id": None,
        "product": None,
        "means": "card",
        "till": "REGIE-É",
        "amount_cents": 425,
    },
    {
        "entry_id": 16,
        "account": "receivable",
        "household_id": HOUSEHOLD,
        "invoice_id": INVOICE["invoice_id"],
        "product": None,
        "means": None,
        "till": None,
        "amount_cents": -425,
    },
]


@pytest.mark.parametrize(
    ("said", "version", "digest"),
    [
        # Of version 1: what the program of before 1 December 2026 published, kept from a run of it.
        (INVOICE, 1, "f6248428c4901f02cc72088d781eb5f1f1c0f353bfb9c6fee76a2c30d7678693"),
        (CREDIT_NOTE, 1, "05109799ac30c83566327214c82545899bbae8af2811cc23d271564b0c7faa79"),
        (INVOICE, 2, "34636e8b3a5ef8c3da1efe080f940706f98961c804f0de015f7c004cbb305601"),
        (CREDIT_NOTE, 2, "2c58a3eb05d7e862899eb03cd1e519aab00e0d905d90b942e1f32bf9183bf489"),
    ],
)
def test_the_digest_of_a_document_is_what_it_always_was(said: dict[str, Any], version: int, digest: str) -> None:
    assert document_digest(said, version).hex() == digest
    turned_round = {name: said[name] for name in reversed(said)}
    assert document_digest(turned_round, version).hex() == digest


def test_the_digest_of_a_ledger_transaction_is_what_it_always_was() -> None:
    assert (
        ledger_digest(TRANSACTION, ENTRIES).hex() == "7be529d6abcbfc687f67a7e34e154d21c0ffd092d5266ef364cdb19e6e24c731"
    )


def test_the_form_can_be_made_by_hand() -> None:
    assert written(["é", None, 12, True, date(2026, 12, 1), AT, ""]) == (
        "2:é,~,2:12,4:true,10:2026-12-01,27:2026-12-01T09:30:00.120000Z,0:,".encode()
    )
    form = written(["preau ledger transaction", 1, 7, TRANSACTION["key"], AT, date(2026, 12, 1), None, 0])
    assert ledger_digest(TRANSACTION, []) == hashlib.sha256(form).digest()


def changes(said: dict[str, Any]) -> list[dict[str, Any]]:
    """The same with one thing changed, each thing of it once."""
    changed = []
    for name, value in said.items():
        if name in {"lines", "issuer", "run_id"}:
            continue
        another: Any = [*value, "x"] if isinstance(value, list) else value
        if isinstance(value, str):
            another = f"{value}x"
        elif isinstance(value, UUID):
            another = UUID(int=value.int + 1)
        elif isinstance(value, datetime):
            another = value.replace(microsecond=1)
        elif isinstance(value, date):
            another = value.replace(year=2025)
        elif isinstance(value, int):
            another = value + 1
        changed.append({**said, name: another})
    for name, value in said["issuer"].items():
        changed.append({**said, "issuer": {**said["issuer"], name: f"{value}x"}})
    first, *rest = said["lines"]
    changed += [{**said, "lines": [{**first, name: "another"}, *rest]} for name in first]
    return [*changed, {**said, "lines": rest}, {**said, "lines": [*rest, first]}]


@pytest.mark.parametrize("said", [INVOICE, CREDIT_NOTE], ids=["invoice", "credit note"])
def test_whatever_changes_in_a_document_changes_its_digest(said: dict[str, Any]) -> None:
    digests = {document_digest(each, 2) for each in [said, *changes(said)]}
    assert len(digests) == 1 + len(changes(said))


ROWS = st.lists(st.none() | st.text(), max_size=4)


@given(one=ROWS, other=ROWS)
def test_two_rows_of_values_never_have_the_same_form(one: list[str | None], other: list[str | None]) -> None:
    assert (written(one) == written(other)) == (one == other)
