"""What is changed, and by which tests it should be noticed: the closest ones, so that a change takes a second."""

from dataclasses import dataclass, field
from pathlib import PurePosixPath

KNOWN = "a quotient is known only with the terms that hold it"


@dataclass(frozen=True)
class Target:
    """A module and its tests. ``servers`` are what these need: nothing, ``database`` or ``broker`` (both).

    ``equivalent`` are changes that change nothing, as they are printed, each with the reason.
    """

    file: str
    tests: tuple[str, ...]
    servers: str = ""
    only: str = ""
    equivalent: dict[str, str] = field(default_factory=dict)

    @property
    def module(self) -> str:
        """Its name for an import."""
        path = PurePosixPath(self.file).with_suffix("")
        parts = path.parts[2:] if path.parts[0] == "services" else path.parts[1:]
        return ".".join(parts).removesuffix(".__init__")


EQUIVALENT: dict[str, dict[str, str]] = {
    "billing/domain/tariffs.py": {
        "why and quotient is not None and (terms is not None)  →  why and quotient is not None": KNOWN,
        "why and terms and (quotient is not None)  →  why and quotient is not None": KNOWN,
    },
}
"""Changes that change nothing, as they are printed, each with the reason; by the end of the file's name."""


def _equivalent(file: str) -> dict[str, str]:
    return next((known for end, known in EQUIVALENT.items() if file.endswith(end)), {})


def _pure(service: str, package: str, **tests: str) -> list[Target]:
    """Modules of a service's domain, each by some of its pure tests."""
    return [
        Target(
            f"services/{service}/{package}/domain/{name}.py",
            tuple(f"services/{service}/tests/domain/test_{each}.py" for each in words.split()),
            equivalent=_equivalent(f"{package}/domain/{name}.py"),
        )
        for name, words in tests.items()
    ]


TARGETS = (
    *_pure(
        "billing",
        "billing",
        tariffs="tariffs",
        ledger="ledger returns",
        chain="ledger",
        attendance="attendance",
        checkouts="checkouts",
        invoicing="attendance tariffs",
        reminders="reminders",
        residence="residence",
        returns="returns",
    ),
    *_pure(
        "payment-gateway",
        "payment_gateway",
        payments="payments till",
        till="till",
        transitions="payments till",
        remittances="remittances",
        payers="payers",
    ),
    *_pure(
        "planning",
        "planning",
        bookings="decide",
        booking_context="decide together",
        calendar="calendar",
        together="together",
        plans="decide",
        attendance="decide",
        feeds="feeds",
    ),
    *_pure("auth", "auth", sign_in="sign_in", access_codes="sign_in", chosen_secrets="sign_in"),
    *_pure("notifier", "notifier", mails="mails"),
    Target("chassis/chassis/idempotency.py", ("chassis/tests/test_idempotency.py",), "database"),
    Target("chassis/chassis/identity.py", ("chassis/tests/test_identity.py",), "database"),
    Target("chassis/chassis/outbox.py", ("chassis/tests/test_events.py",), "broker"),
    Target("chassis/chassis/inbox.py", ("chassis/tests/test_events.py",), "broker"),
)
