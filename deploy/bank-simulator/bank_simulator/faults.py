"""The switches: how the bank misbehaves from now on."""

from dataclasses import dataclass, fields
from typing import Any

NOTICES = ("once", "never", "late", "twice", "ten_times", "early")


@dataclass
class Faults:
    """``early`` notifies before the result can be asked for; times are in seconds."""

    notice: str = "once"
    late_seconds: float = 20
    amount_offset_cents: int = 0
    service_down: bool = False
    answer_in_pieces: bool = False
    answer_delay_seconds: float = 0

    def change(self, wanted: dict[str, Any]) -> None:
        """Set some switches; ``ValueError`` names the first that is wrong, and nothing changes."""
        kinds = {each.name: type(getattr(self, each.name)) for each in fields(self)}
        for name, value in wanted.items():
            kind = kinds.get(name)
            fits = type(value) is kind or (kind is float and type(value) is int)
            if not fits:
                raise ValueError(f"{name}: no such switch, or not a value for it")
            if name == "notice" and value not in NOTICES:
                raise ValueError(f"notice: one of {', '.join(NOTICES)}")
        for name, value in wanted.items():
            setattr(self, name, value)
