"""The PDFs: the same bytes each time, every value as text, nothing clipped."""

import json
import subprocess
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

import pytest

import documents
from contracts.api.auth import Letter
from contracts.api.billing import Invoice, InvoiceLine, InvoiceStatus, InvoiceSummary
from contracts.events.payment import Mode, PaymentConfirmed, Ticket
from documents import french
from local_stack.packages import pdf_tools

EXAMPLES = Path(__file__).parent.parent.parent / "contracts" / "examples"
HOSTILE = '#let x = 1 *gras* $x^2$ _a_ `code` @ref <label> "quotes" \\ // <script> Éloïse-Œdipe'


def a_ticket() -> Ticket:
    written = json.loads((EXAMPLES / "payment.confirmed.json").read_text(encoding="utf-8"))
    return PaymentConfirmed.model_validate(written).ticket


def an_invoice(lines: int = 3, name: str = "Famille Exemple") -> Invoice:
    line = InvoiceLine(
        child_first_name="Léa",
        activity_label="Petites Vac. Après-midi",
        count=12,
        unit_price_cents=420,
        amount_cents=5_040,
        explanation="tarif unique",
    )
    return Invoice(
        summary=InvoiceSummary(
            invoice_id=UUID(int=1),
            number="2026-000123",
            month=date(2026, 11, 1),
            published_on=date(2026, 12, 1),
            due_on=date(2026, 12, 31),
            total_cents=123_450,
            left_cents=0,
            status=InvoiceStatus.PAID,
        ),
        town="Ville de Saint-Aubin",
        household_name=name,
        household_reference="F-0042",
        household_address=("12 rue des Tilleuls", "56700 Saint-Aubin"),
        lines=tuple(line.model_copy(update={"child_first_name": f"Enfant {number}"}) for number in range(lines)),
    )


def text_of(pdf: bytes, folder: Path) -> str:
    file = folder / "document.pdf"
    file.write_bytes(pdf)
    pdf_tools()
    done = subprocess.run(["pdftotext", "-layout", str(file), "-"], capture_output=True, check=True, timeout=30)
    return done.stdout.decode().replace(french.NO_BREAK, " ")


def test_the_same_model_gives_the_same_bytes() -> None:
    assert documents.ticket(a_ticket()) == documents.ticket(a_ticket())
    assert documents.invoice(an_invoice()) == documents.invoice(an_invoice())
    assert documents.ticket(a_ticket()).startswith(b"%PDF-")


def test_a_ticket_says_what_was_paid(tmp_path: Path) -> None:
    text = text_of(documents.ticket(a_ticket()), tmp_path)
    for expected in (
        "Justificatif de paiement",
        "2026-000077",
        "42,50 €",
        "2 décembre 2026 à 19 h 33",
        "Famille Exemple",
        "2026-000123",
        "novembre 2026",
        "Carte bancaire",
        "1c7b8a52-0c6e-4b7d-9a0f-6d2f5b8e9a10",
        "112233",
        "aucun argent",
    ):
        assert expected in text
    real = a_ticket().model_copy(update={"mode": Mode.PRODUCTION})
    assert "TEST" not in text_of(documents.ticket(real), tmp_path)


def test_sixty_lines_are_all_there(tmp_path: Path) -> None:
    text = text_of(documents.invoice(an_invoice(lines=60)), tmp_path)
    for number in range(60):
        assert f"Enfant {number} " in text
    assert "1 234,50 €" in text
    assert "page 3 sur" in text


def test_hostile_names_are_only_text(tmp_path: Path) -> None:
    text = text_of(documents.invoice(an_invoice(name=HOSTILE)), tmp_path)
    for part in ("#let x = 1", "*gras*", "$x^2$", "<script>", "Œdipe"):
        assert part in " ".join(text.split())
    long_name = a_ticket().model_copy(update={"household_name": "É" * 200})
    assert text_of(documents.ticket(long_name), tmp_path).count("É") == 200


def test_each_letter_is_one_page_with_the_codes_of_its_guardian_alone(tmp_path: Path) -> None:
    letters = [
        Letter(
            town="Saint-Aubin",
            portal="https://familles.example",
            reference=f"F-{number}",
            name=name,
            address=("Résidence des Très-Grands-Tilleuls, bâtiment B", *("12 rue",) * 3, "56700 Saint-Aubin"),
            identifier=f"k7mqx2p{number}",
            secret=f"h4tn-8wkc-qz3{number}",
        )
        for number, name in enumerate((HOSTILE, "Marie-Antoinette Laurent-Delacroix de Saint-Exupéry"), 2)
    ]
    made_at = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    assert documents.access_letters(letters, made_at) == documents.access_letters(letters, made_at)
    first, second, *rest = text_of(documents.access_letters(letters, made_at), tmp_path).split("\f")
    assert rest == [""]
    assert "#let x = 1" in first
    assert "k7mqx2p2" in first
    assert "h4tn-8wkc-qz32" in first
    assert "h4tn-8wkc-qz33" not in first
    assert "h4tn-8wkc-qz33" in second
    assert "24 novembre 2026" in second


@pytest.mark.parametrize(
    ("cents", "text"), [(0, "0,00 €"), (5, "0,05 €"), (123_456_789, "1 234 567,89 €"), (-420, "−4,20 €")]
)
def test_amounts(cents: int, text: str) -> None:
    assert french.euros(cents).replace(french.NO_BREAK, " ") == text


def test_days_and_instants() -> None:
    assert french.day(date(2027, 3, 1)).replace(french.NO_BREAK, " ") == "1er mars 2027"
    winter = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
    assert french.instant(winter).replace(french.NO_BREAK, " ") == "1er janvier 2027 à 0 h 30"
