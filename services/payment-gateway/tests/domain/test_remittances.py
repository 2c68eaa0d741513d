"""The bank's file: what is read of it, and what is said of what cannot be."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.api.payment_gateway import RemittanceKind
from payment_gateway.domain.remittances import read

PAYFIP = "Date;Montant;Refdet;IdOp;Numauto\n24/11/2026;42,50;ABC123;op-1;000123\n"


def test_a_line_is_read_with_its_references() -> None:
    (line,), errors = read(PAYFIP.encode())
    assert errors == []
    assert (line.line, line.day, line.amount_cents) == (2, date(2026, 11, 24), 4250)
    assert (line.reference, line.bank_reference, line.authorisation) == ("ABC123", "op-1", "000123")
    assert line.kind is RemittanceKind.TAKEN


@pytest.mark.parametrize(
    "content",
    [
        "Date de remise,Montant,Référence commande\n2026-11-24,42.50,ABC123".encode(),
        "﻿DATE;MONTANT;RÉFÉRENCE\r\n24-11-2026;42,5 €;ABC123\r\n\r\n".encode(),
        "Banque;Date de règlement;Montant brut;Numéro de commande\nx;24/11/2026;42,50;'ABC123".encode("cp1252"),
    ],
)
def test_the_columns_of_other_banks_and_spreadsheets_are_known(content: bytes) -> None:
    (line,), errors = read(content)
    assert errors == []
    assert (line.day, line.amount_cents, line.reference) == (date(2026, 11, 24), 4250, "ABC123")


@pytest.mark.parametrize(
    ("amount", "sense", "kind"),
    [
        ("42,50", "Remboursement", "returned"),
        ("42,50", "Impayé", "returned"),
        ("-42,50", "", "returned"),
        ("42,50", "Paiement", "taken"),
    ],
)
def test_money_that_went_back_is_told_apart(amount: str, sense: str, kind: str) -> None:
    (line,), _ = read(f"Date;Montant;Référence;Sens\n24/11/2026;{amount};A;{sense}\n".encode())
    assert (line.kind, line.amount_cents) == (kind, 4250)


def test_lines_that_look_alike_are_counted_apart() -> None:
    lines, _ = read((PAYFIP + PAYFIP.partition("\n")[2] * 2).encode())
    assert [line.times for line in lines] == [1, 2, 3]


def test_everything_wrong_is_said_at_once_by_line_and_column() -> None:
    content = "Date;Montant;Référence;Sens\n31/02/2026;1;A;\n24/11/2026;1,234;A;\n24/11/2026;0;A;\n24/11/2026;1;;\n"
    lines, errors = read(f"{content}24/11/2026;1;A;don\n24/11/2026;1;A;\n".encode())
    assert [(each.line, each.column) for each in errors] == [
        (2, "Date"),
        (3, "Montant"),
        (4, "Montant"),
        (5, "Référence"),
        (6, "Sens"),
    ]
    assert len(lines) == 1


@pytest.mark.parametrize(
    ("content", "column"),
    [
        (b"", "Date"),
        (b"Date;Montant\n1;1", "Référence"),
        (b"Montant;Refdet\n1;1", "Date"),
        (b"Date;Montant;Montant;Refdet\n", "Montant"),
        (b"Date;Montant;Refdet\n", ""),
        (b"%PDF-1.4\0\0", ""),
        (b'Date;Montant;Refdet\n24/11/2026;1;"' + b"x" * 140_000, ""),
    ],
)
def test_a_file_of_another_kind_is_refused_in_words(content: bytes, column: str) -> None:
    lines, errors = read(content)
    assert lines == []
    assert errors[0].column == column
    assert errors[0].message


@given(st.binary(max_size=400) | st.text(max_size=200).map(lambda text: f"Date;Montant;Refdet\n{text}".encode()))
def test_whatever_comes_is_lines_or_errors(content: bytes) -> None:
    lines, errors = read(content)
    assert lines or errors
    assert all(line.amount_cents > 0 and line.line > 1 for line in lines)
