"""The bank's own book: what it was asked to take and what it took, one line of JSON for each change."""

import json
import secrets
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")


@dataclass
class Operation:
    """One payment asked for. ``result`` is the bank's letter: P, V, R, Z or A; times are ISO 8601.

    ``asked`` holds the fields of its ``protocol`` as they came: ``payfip`` or ``lyra``.
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

    @property
    def is_lyra(self) -> bool:
        return self.protocol == "lyra"

    @property
    def cents(self) -> int:
        """What was asked for."""
        return int(self.asked["vads_amount" if self.is_lyra else "montant"])

    @property
    def reference(self) -> str:
        """The town's own reference."""
        return self.asked["vads_order_id" if self.is_lyra else "refdet"]

    @property
    def label(self) -> str:
        """What the payer reads."""
        return f"Boutique {self.asked['vads_site_id']}" if self.is_lyra else self.asked["objet"]

    @property
    def back_url(self) -> str:
        """Where the payer's browser goes afterwards."""
        if not self.is_lyra:
            return self.asked["urlredirect"]
        end = {None: "return", "A": "cancel", "R": "refused", "Z": "refused"}.get(self.result, "success")
        return self.asked.get(f"vads_url_{end}") or self.asked["vads_url_return"]

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

    def write(self, operation: Operation) -> None:
        """Append the operation as it is now."""
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(operation), ensure_ascii=False) + "\n")
