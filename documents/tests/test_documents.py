"""The PDFs: the same bytes each time, every value as text, nothing clipped."""

import json
import subprocess
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

import pytest

import documents
from contracts.api.auth import Letter
from contracts.api.billing import (
    Certificate,
    CertificateLine,
    CreditNote,
    CreditNoteLine,
    CreditNoteSummary,
    Invoice,
    InvoiceLine,
    InvoiceStatus,
    InvoiceSummary,
    Issuer,
)
from contracts.events.payment import Mode, PaymentConfirmed, Ticket
from contracts.model import Language
from documents import french
from local_stack.packages import pdf_tools

EXAMPLES = Path(__file__).parent.parent.parent / "contracts" / "examples"
HOSTILE = '#let x = 1 *gras* $x^2$ _a_ `code` @ref <label> "quotes" \\ // <script> Éloïse-Œdipe'

ISSUER = Issuer(
    town="Ville de Saint-Aubin",
    siret="21560000100018",
    address="1 place de la Mairie, 56700 Saint-Aubin",
    contact="enfance@saint-aubin.example",
    till="Régie enfance, le mardi de 9 h à 12 h",
)
LONG = "Famille Laurent-Delacroix de Saint-Exupéry et Œdipe-Château, chez M. et Mme Nguyên-Lefebvre"


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
        explanation="Demi-journée · QF 845 depuis le 01/09/2026 · taux d'effort 0,565 % · 2e enfant −10 %",
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
        issuer=ISSUER,
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
    assert "reste à régler" not in text
    part = a_ticket().invoices[0].model_copy(update={"amount_cents": 1_000, "left_cents": 3_250})
    paid = a_ticket().model_copy(update={"invoices": (part,), "amount_cents": 1_000})
    assert "reste à régler : 32,50 €" in text_of(documents.ticket(paid), tmp_path)
    real = a_ticket().model_copy(update={"mode": Mode.PRODUCTION})
    assert "TEST" not in text_of(documents.ticket(real), tmp_path)


def test_sixty_lines_are_all_there(tmp_path: Path) -> None:
    model = an_invoice(lines=60)
    why = "Accueil du soir · QF 845 depuis le 01/09/2026 · absence non justifiée n° 1 du mois : non facturée"
    said = tuple(line.model_copy(update={"explanation": f"régularisation · {why}"}) for line in model.lines)
    text = text_of(documents.invoice(model.model_copy(update={"lines": said})), tmp_path)
    for number in range(60):
        assert f"Enfant {number} " in text
    assert " ".join(text.split()).count(why) == 60
    assert "1 234,50 €" in text
    assert "page 5 sur 5" in text


def test_an_invoice_says_who_sends_it_why_each_price_and_what_can_be_done(tmp_path: Path) -> None:
    text = " ".join(text_of(documents.invoice(an_invoice(name=LONG)), tmp_path).split())
    for expected in (
        "SIRET 215 600 001 00018",
        "enfance@saint-aubin.example",
        "Facture de novembre 2026",
        "2026-000123",
        "QF 845 depuis le 01/09/2026",
        "50,40 €",
        "31 décembre 2026",
        "Voies de recours",
        "L. 1617-5",
        "Régie enfance, le mardi de 9 h à 12 h.",
        "Nguyên-Lefebvre",
    ):
        assert expected in text


def test_a_credit_note_names_the_invoice_it_corrects(tmp_path: Path) -> None:
    lines = tuple(
        CreditNoteLine(
            child_first_name="Zoë" if number % 2 else None,
            label=f"Cantine {number} · tranche jusqu'à 700",
            count=4,
            unit_credit_cents=230,
            amount_cents=920,
        )
        for number in range(60)
    )
    note = CreditNote(
        summary=CreditNoteSummary(
            credit_note_id=UUID(int=2),
            number="A-2026-000007",
            invoice_id=UUID(int=1),
            invoice_number="2026-000123",
            published_on=date(2026, 12, 5),
            total_cents=55_200,
            reason="Quotient familial connu après la facture",
        ),
        issuer=ISSUER,
        household_name=LONG,
        household_reference="F-0042",
        household_address=("12 rue des Tilleuls", "56700 Saint-Aubin"),
        lines=lines,
    )
    assert documents.credit_note(note) == documents.credit_note(note)
    text = text_of(documents.credit_note(note), tmp_path)
    for expected in ("A-2026-000007", "Avoir sur la facture 2026-000123", "connu après la facture", "552,00 €"):
        assert expected in text
    for number in range(60):
        assert f"Cantine {number} " in text


def test_a_certificate_says_what_was_paid_for_a_child_in_a_year(tmp_path: Path) -> None:
    model = Certificate(
        issuer=ISSUER,
        household_name=HOSTILE,
        household_reference="F-0042",
        household_address=("12 rue des Tilleuls",),
        child_name="Léa Exemple",
        birth_date=date(2022, 3, 1),
        year=2026,
        issued_on=date(2027, 1, 15),
        lines=(
            CertificateLine(activity_label="Mercredi", amount_cents=31_240),
            CertificateLine(activity_label="Périscolaire soir", amount_cents=18_720),
        ),
    )
    assert documents.certificate(model) == documents.certificate(model)
    text = text_of(documents.certificate(model), tmp_path)
    for expected in ("Attestation fiscale 2026", "Léa Exemple", "1er mars 2022", "312,40 €", "187,20 €", "499,60 €"):
        assert expected in text
    assert "à ce jour" not in text
    assert "7GE" not in text
    running = model.model_copy(update={"issued_on": date(2026, 11, 30), "alternating": True})
    text = text_of(documents.certificate(running), tmp_path)
    assert "voici ce qui est payé à ce jour, le 30 novembre 2026" in " ".join(text.split())
    assert "7GE à 7GG" in " ".join(text.split())


def test_every_document_is_tagged_archival_and_in_french(tmp_path: Path) -> None:
    content = documents.invoice(an_invoice())
    assert b"/MarkInfo" in content
    assert b"/Lang" in content
    file = tmp_path / "document.pdf"
    file.write_bytes(content)
    pdf_tools()
    said = subprocess.run(["pdfinfo", str(file)], capture_output=True, check=True, timeout=30).stdout.decode()
    assert "Tagged:          yes" in said
    assert "Facture 2026-000123" in said


def test_hostile_names_are_only_text(tmp_path: Path) -> None:
    text = text_of(documents.invoice(an_invoice(name=HOSTILE)), tmp_path)
    for part in ("#let x = 1", "*gras*", "$x^2$", "<script>", "Œdipe"):
        assert part in " ".join(text.split())
    long_name = a_ticket().model_copy(update={"household_name": "É" * 200})
    assert text_of(documents.ticket(long_name), tmp_path).count("É") == 200


@pytest.mark.parametrize("name", ["Nguyễn Thị Ánh", "Łukasz Ștefănescu", "Αθηνά", "محمد", "王小明", "Léa 👩‍👧"])
def test_nobody_goes_without_a_document_for_the_signs_of_a_name(tmp_path: Path, name: str) -> None:
    assert "42,50" in text_of(documents.ticket(a_ticket().model_copy(update={"household_name": name})), tmp_path)
    assert "Numéro" in text_of(documents.invoice(an_invoice(name=name)), tmp_path)


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


def test_a_letter_is_in_the_language_of_its_household(tmp_path: Path) -> None:
    about = {"town": "V", "portal": "p", "reference": "F-1", "name": "N", "address": ("1 rue",)}
    letters = [
        Letter(**about, identifier=f"id{each}", secret="abc", locale=each) for each in (Language.EN, Language.FR)
    ]
    made_at = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    english, french_one, _ = text_of(documents.access_letters(letters, made_at), tmp_path).split("\f")
    assert "Your access codes to the family portal" in english
    assert "V, 24 November 2026" in english.replace(french.NO_BREAK, " ")
    assert "Code secret" not in english
    assert "Vos codes d’accès au portail des familles" in french_one
    assert "Secret code" not in french_one


def test_every_code_can_be_copied_from_its_letter(tmp_path: Path) -> None:
    """Whichever signs stand side by side: a pair drawn close must not be copied as two words."""
    signs = "abcdefghjkmnpqrstuvwxyz23456789-"
    codes = {f"z{one}{other}z" for one in signs for other in signs}
    letters = [
        Letter(town="V", portal="p", reference="F-1", name="N", address=("1 rue",), identifier=code, secret=code)
        for code in sorted(codes)
    ]
    text = text_of(documents.access_letters(letters, datetime(2026, 11, 24, 9, 0, tzinfo=UTC)), tmp_path)
    assert [code for code in sorted(codes) if text.split().count(code) != 2] == []


@pytest.mark.parametrize(
    ("cents", "text"), [(0, "0,00 €"), (5, "0,05 €"), (123_456_789, "1 234 567,89 €"), (-420, "−4,20 €")]
)
def test_amounts(cents: int, text: str) -> None:
    assert french.euros(cents).replace(french.NO_BREAK, " ") == text


def test_months_elide() -> None:
    assert french.of_month(date(2026, 10, 1)) == "d’octobre 2026"
    assert french.of_month(date(2026, 8, 1)) == "d’août 2026"
    assert french.of_month(date(2026, 11, 1)) == "de novembre 2026"


def test_days_and_instants() -> None:
    assert french.day(date(2027, 3, 1)).replace(french.NO_BREAK, " ") == "1er mars 2027"
    winter = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
    assert french.instant(winter).replace(french.NO_BREAK, " ") == "1er janvier 2027 à 0 h 30"
