"""payment-gateway: reconciliation of the bank's remittances with the confirmed payments."""

from enum import StrEnum
from uuid import UUID

from contracts.api.payment_gateway import Sentence, StatementSource
from contracts.model import Contract, Day, Instant, Label, Reference


class Remittance(Contract):
    """``POST /remittances/{bank}?source=treasury``, the file as raw bytes: what was read of it; the same again answers
    the same.

    ``new_lines`` are those that no earlier file had; ``unmatched`` those that name no payment here. A file with a
    line that cannot be read is refused whole: ``line`` and ``column`` in the errors, the header being line 1.
    """

    remittance_id: UUID
    source: StatementSource
    bank: Reference
    file_name: Label
    lines: int
    new_lines: int
    unmatched: int
    first_day: Day | None
    last_day: Day | None
    taken_cents: int
    returned_cents: int
    imported_by: str
    imported_at: Instant


class DifferenceKind(StrEnum):
    """How the bank's remittance and what is confirmed here disagree."""

    MISSING = "missing"
    UNKNOWN = "unknown"
    UNCONFIRMED = "unconfirmed"
    AMOUNT = "amount"
    TWICE = "twice"
    TAKEN_BACK = "taken_back"


class RemittanceDifference(Contract):
    """A difference. ``ours_cents`` is the amount confirmed (or recorded as returned) here, ``banks_cents`` the
    source's.

    ``difference`` identifies it, with its values, for a note; ``file_name`` and ``line`` are its place in the source.
    """

    difference: str
    source: StatementSource
    kind: DifferenceKind
    bank: Reference
    day: Day
    payment_id: UUID | None
    reference: str
    ours_cents: int
    banks_cents: int
    file_name: str | None
    line: int | None


class RemittanceReport(Contract):
    """``GET /remittances``: the differences that nobody explained, oldest first, the latest files, the accounts."""

    differences: tuple[RemittanceDifference, ...]
    files: tuple[Remittance, ...]
    banks: tuple[Reference, ...]


class RemittanceNote(Contract):
    """``POST /remittances/notes``: what a difference was; it leaves the list until its facts change."""

    difference: Label
    reason: Sentence
