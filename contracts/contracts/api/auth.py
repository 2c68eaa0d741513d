"""auth: sign-in, tokens, and the registry of households."""

from datetime import date
from uuid import UUID

from pydantic import Field, SecretStr

from contracts.events.auth import Custody, HouseholdChild
from contracts.identity import Identity
from contracts.model import Contract, Instant, Label, Reference, Version


class SignIn(Contract):
    """``POST /sessions``: the two access codes, and where they were typed."""

    identifier: str = Field(max_length=200)
    secret: SecretStr = Field(max_length=200)
    client_address: str = Field(max_length=64)
    user_agent: str = Field(default="", max_length=400)


class SignedIn(Contract):
    """The opaque session, to be kept in the browser's cookie and nowhere else."""

    session: str
    expires_at: Instant
    identity: Identity


class SessionKey(Contract):
    """``POST /sessions/end``."""

    session: str = Field(min_length=20, max_length=200)


class TokenWish(Contract):
    """``POST /tokens``: a short-lived token for one service, in exchange of a live session."""

    session: str = Field(min_length=20, max_length=200)
    audience: str = Field(max_length=40)


class Token(Contract):
    """An EdDSA token and the person it speaks for."""

    token: str
    expires_at: Instant
    identity: Identity


class GuardianWish(Contract):
    """A guardian to be written down. Codes are drawn when none are given; only an administrator may give them."""

    first_name: Label
    last_name: Label
    email: str | None = Field(default=None, max_length=254)
    identifier: str | None = Field(default=None, min_length=4, max_length=40)
    secret: SecretStr | None = Field(default=None, min_length=8, max_length=200)


class ChildWish(Contract):
    """A child to be written down; ``child_id`` names one that another household has already."""

    child_id: UUID | None = None
    first_name: Label
    last_name: Label
    birth_date: date
    school: Label
    class_name: Label
    custody: Custody = Custody.FREE


class HouseholdWish(Contract):
    """``POST /households``: a household, its guardians and its children; the reference is its idempotency key."""

    reference: Reference
    name: Label
    address: tuple[Label, ...] = Field(min_length=1, max_length=5)
    guardians: tuple[GuardianWish, ...] = Field(min_length=1, max_length=8)
    children: tuple[ChildWish, ...] = Field(default=(), max_length=20)


class GuardianView(Contract):
    """A guardian as shown."""

    guardian_id: UUID
    first_name: Label
    last_name: Label
    email: str | None
    identifier: str


class AccessCodes(Contract):
    """The two codes of a guardian, told once, when they are made."""

    guardian_id: UUID
    identifier: str
    secret: str


class HouseholdView(Contract):
    """A household as shown."""

    household_id: UUID
    version: Version
    reference: Reference
    name: Label
    address: tuple[Label, ...]
    guardians: tuple[GuardianView, ...]
    children: tuple[HouseholdChild, ...]


class HouseholdCreated(Contract):
    """The household, and the codes for its letters."""

    household: HouseholdView
    access_codes: tuple[AccessCodes, ...]


class HouseholdList(Contract):
    """``GET /households``."""

    households: tuple[HouseholdView, ...]
