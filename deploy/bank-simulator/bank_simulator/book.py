"""The bank's own book: what it was asked to take and what it took, one line of JSON for each change."""

import json
import secrets
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")


class Names(NamedTuple):
    """What a protocol calls what every operation has; ``ends`` by result, P for all others."""

    amount: str
    reference: str
    title: str
    label: str
    ends: dict[str, str]


PRODUCT = "line_items[0][price_data]"
FIELDS = {
    "payfip": Names("montant", "refdet", "", "objet", {"P": "urlredirect"}),
    "lyra": Names(
        "vads_amount",
        "vads_order_id",
        "Boutique ",
        "vads_site_id",
        {"": "vads_url_return", "P": "vads_url_success", "A": "vads_url_cancel"}
        | dict.fromkeys("RZ", "vads_url_refused"),
    ),
    "paybox": Names(
        "PBX_TOTAL",
        "PBX_CMD",
        "Commerce ",
        "PBX_SITE",
        {"P": "PBX_EFFECTUE", "A": "PBX_ANNULE"} | dict.fromkeys("RZ", "PBX_REFUSE"),
    ),
    "stripe": Names(
        f"{PRODUCT}[unit_amount]",
        "client_reference_id",
        "",
        f"{PRODUCT}[product_data][name]",
        {"": "cancel_url", "P": "success_url"},
    ),
}


@dataclass
class Operation:
    """One payment asked for. ``result`` is the bank's letter: P, V, R, Z or A; times are ISO 8601.

    ``asked`` holds the fields of its ``protocol``, a key of ``FIELDS``, as they came; ``refunds`` are cents by key,
    ``failed`` the keys of those that were given up later; ``disputed_cents`` a part that is contested, 0 for all;
    ``cancelled`` says that the bank's back office let go of the money before it was sent.
    """

    id_op: str
    asked: dict[str, str]
    opened_at: str
    page_shown: bool = False
    result: str | None = None
    result_at: str | None = None
    result_told_at: str | None = None
    authorisation: str | None = None
    notices: list[str] = field(default_factory=list)
    protocol: str = "payfip"
    refunds: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    disputed_cents: int = 0
    cancelled: bool = False

    @property
    def cents(self) -> int:
        """What was asked for."""
        return int(self.asked[FIELDS[self.protocol].amount])

    @property
    def refunded_cents(self) -> int:
        """What was given back until now."""
        return sum(cents for key, cents in self.refunds.items() if key not in self.failed)

    @property
    def reference(self) -> str:
        """The town's own reference."""
        return self.asked[FIELDS[self.protocol].reference]

    @property
    def label(self) -> str:
        """What the payer reads."""
        return f"{FIELDS[self.protocol].title}{self.asked[FIELDS[self.protocol].label]}"

    @property
    def back_url(self) -> str:
        """Where the payer's browser goes afterwards."""
        ends = FIELDS[self.protocol].ends
        return self.asked.get(ends.get(self.result or "", ends["P"])) or self.asked[ends.get("", ends["P"])]

    @property
    def result_is_told(self) -> bool:
        """A slow result is decided before the bank tells it."""
        return self.result_told_at is not None and datetime.now(PARIS) >= datetime.fromisoformat(self.result_told_at)

    @property
    def took_money(self) -> bool:
        """Whether money moved."""
        return self.result in {"P", "V"}


class Book:
    """Every operation, in memory and on disk."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "book.jsonl"
        self.operations: dict[str, Operation] = {}
        if self._file.exists():
            for line in self._file.read_text(encoding="utf-8").splitlines():
                operation = Operation(**json.loads(line))
                self.operations[operation.id_op] = operation

    def open(self, asked: dict[str, str], *, protocol: str = "payfip", id_op: str = "") -> Operation:
        """Write down a new operation."""
        operation = Operation(id_op or str(uuid4()), asked, datetime.now(PARIS).isoformat(), protocol=protocol)
        self.operations[operation.id_op] = operation
        self.write(operation)
        return operation

    def decide(self, operation: Operation, result: str, told_at: datetime) -> None:
        """Write down the result; a first one stays."""
        if operation.result is not None:
            return
        operation.result = result
        operation.result_at = datetime.now(PARIS).isoformat()
        operation.result_told_at = told_at.isoformat()
        if operation.took_money:
            operation.authorisation = f"{secrets.randbelow(10**6):06d}"
        self.write(operation)

    def forget(self) -> None:
        """Have no operation, as on the first day."""
        self.operations.clear()
        self._file.unlink(missing_ok=True)

    def write(self, operation: Operation) -> None:
        """Append the operation as it is now."""
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(operation), ensure_ascii=False) + "\n")
