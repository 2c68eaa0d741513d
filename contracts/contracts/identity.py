"""Identity: the claims of the short-lived token that auth signs and every service verifies."""

from enum import StrEnum
from uuid import UUID

from contracts.model import Contract


class Role(StrEnum):
    """What a person may be. A guardian is a parent; staff have one or more of the others."""

    PARENT = "parent"
    CLERK = "clerk"
    CASHIER = "till_keeper"
    ADMINISTRATOR = "administrator"
    OPERATOR = "operator"


STAFF = tuple(role for role in Role if role is not Role.PARENT)
"""Everybody of the town hall."""


class Permission(StrEnum):
    """What a route requires."""

    READ_HOUSEHOLDS = "read_households"
    WRITE_HOUSEHOLDS = "write_households"
    ERASE_HOUSEHOLDS = "erase_households"
    WRITE_CALENDAR = "write_calendar"
    BOOK_FOR_HOUSEHOLDS = "book_for_households"
    WRITE_TARIFFS = "write_tariffs"
    PUBLISH_INVOICES = "publish_invoices"
    COLLECT_MONEY = "collect_money"
    READ_PAYMENTS = "read_payments"
    DECIDE_PAYMENTS = "decide_payments"
    WRITE_ANNOUNCEMENTS = "write_announcements"
    READ_MAILS = "read_mails"
    RESEND_MAILS = "resend_mails"


_CLERK = {
    Permission.READ_HOUSEHOLDS,
    Permission.WRITE_HOUSEHOLDS,
    Permission.WRITE_CALENDAR,
    Permission.BOOK_FOR_HOUSEHOLDS,
    Permission.WRITE_ANNOUNCEMENTS,
    Permission.READ_MAILS,
    Permission.RESEND_MAILS,
}
_CASHIER = {
    Permission.READ_HOUSEHOLDS,
    Permission.WRITE_TARIFFS,
    Permission.PUBLISH_INVOICES,
    Permission.COLLECT_MONEY,
    Permission.READ_PAYMENTS,
    Permission.DECIDE_PAYMENTS,
    Permission.READ_MAILS,
    Permission.RESEND_MAILS,
}

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.PARENT: frozenset(),
    Role.CLERK: frozenset(_CLERK),
    Role.CASHIER: frozenset(_CASHIER),
    Role.ADMINISTRATOR: frozenset(_CLERK | _CASHIER | {Permission.ERASE_HOUSEHOLDS}),
    Role.OPERATOR: frozenset({Permission.READ_MAILS, Permission.RESEND_MAILS, Permission.READ_PAYMENTS}),
}
"""The permissions of each role; a parent acts only for the household of the token."""


def roles_with(permission: Permission) -> list[Role]:
    """Whose role carries ``permission``."""
    return [role for role, carried in PERMISSIONS.items() if permission in carried]


class Identity(Contract):
    """A signed-in person. ``household_id`` is set for guardians only; ``email`` only once it is known."""

    subject_id: UUID
    session_id: UUID
    name: str
    roles: frozenset[Role]
    household_id: UUID | None = None
    email: str | None = None

    def may(self, permission: Permission) -> bool:
        """Whether one of the person's roles has ``permission``."""
        return any(permission in PERMISSIONS[role] for role in self.roles)

    @property
    def is_staff(self) -> bool:
        """Staff act for the town; parents act for their household."""
        return bool(self.roles - {Role.PARENT})
