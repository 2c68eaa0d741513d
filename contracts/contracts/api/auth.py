"""auth: sign-in, tokens, one's own account, and the registry of households."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field, SecretStr, StringConstraints

from contracts.events.auth import Custody, HouseholdChild, Span
from contracts.identity import Identity, Role
from contracts.model import Contract, Day, FullName, Instant, Label, Language, Line, Reference, Version
from contracts.spans import SPANS_MAX

ADDRESS_LINES_MAX, GUARDIANS_MAX, CHILDREN_MAX = 5, 8, 40
"""What a household has at most, whichever way it comes in: by a page, a file or the API."""

Key = Annotated[str, StringConstraints(min_length=20, max_length=200)]
"""A session or the token of a link: opaque."""


class SessionStage(StrEnum):
    """What a session still requires before it is fully signed in."""

    CHOOSE_SECRET = "choose_secret"  # noqa: S105 - a step
    CONFIRM_EMAIL = "confirm_email"
    ONE_TIME_CODE = "one_time_code"
    OPEN = "open"


IDENTIFIER_RULE = "4 to 40 letters without accents, digits, dots, hyphens, underscores, + or @, and no space"
Identifier = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[A-Za-z0-9._@+-]{4,40}$")]
"""The identifier for signing in; case is ignored. ``IDENTIFIER_RULE`` describes it."""


class SignIn(Contract):
    """``POST /sessions``: identifier and secret, and where they come from. ``device`` is a random value kept by the
    browser, which distinguishes a new device from known ones; API clients have none."""

    identifier: str = Field(max_length=200)
    secret: SecretStr = Field(max_length=200)
    client_address: str = Field(max_length=64)
    user_agent: str = Field(default="", max_length=400)
    device: SecretStr | None = Field(default=None, min_length=20, max_length=64)


class SignedIn(Contract):
    """The opaque session, to be kept in the browser's cookie and nowhere else; in place of any before it."""

    session: str
    expires_at: Instant
    identity: Identity
    stage: SessionStage = SessionStage.OPEN


class SessionKey(Contract):
    """``POST /sessions/end``, and ``POST /sessions/state`` answered by ``SessionState``."""

    session: Key


class SessionState(Contract):
    """What a session still wants; ``email`` is the address proposed or waiting for its confirmation."""

    stage: SessionStage
    identifier: str
    name: str
    email: str | None
    locale: Language = Language.FR


class FirstSecretRequest(Contract):
    """``POST /sessions/first-secret``: in place of the letter's code. Answered by ``SignedIn``: another session."""

    session: Key
    secret: SecretStr = Field(max_length=200)
    email: str = Field(max_length=254)


class FirstEmailRequest(Contract):
    """``POST /sessions/email``: send the confirmation again, or to another address."""

    session: Key
    email: str = Field(max_length=254)


class OneTimeCodeRequest(Contract):
    """``POST /sessions/one-time-code``: of the telephone, or a recovery code. Answered by ``SignedIn``."""

    session: Key
    code: SecretStr = Field(max_length=40)
    client_address: str = Field(max_length=64)


class TokenRequest(Contract):
    """``POST /tokens``: a short-lived token for one service, in exchange of a live session."""

    session: Key
    audience: str = Field(max_length=40)


class Token(Contract):
    """An EdDSA token and the person it speaks for; ``locale`` is the household's, French for staff."""

    token: str
    expires_at: Instant
    identity: Identity
    locale: Language = Language.FR


class ResetRequest(Contract):
    """``POST /resets``: sends a link if an account has this address; the response is always the same."""

    email: str = Field(max_length=254)
    client_address: str = Field(max_length=64)


class ResetUse(Contract):
    """``POST /resets/used``: a new secret by the link of a mail."""

    token: Key
    secret: SecretStr = Field(max_length=200)


class EmailConfirmation(Contract):
    """``POST /emails/confirmed``: the link that was sent to the address."""

    token: Key


class Email(Contract):
    """An address, as it is kept."""

    email: str


class SessionView(Contract):
    """An open session of one's own."""

    session_id: UUID
    user_agent: str
    created_at: Instant
    last_used_at: Instant
    is_current: bool


class AccountView(Contract):
    """``GET /account``: one's own; ``pending_email`` waits for the click on its link."""

    identifier: str
    name: str
    email: str | None
    pending_email: str | None
    has_one_time_codes: bool
    recovery_codes_left: int
    sessions: tuple[SessionView, ...]


class SecretChange(Contract):
    """``PUT /account/secret``. Answered by ``SignedIn``: every session is closed, and one opened in their place."""

    current: SecretStr = Field(max_length=200)
    secret: SecretStr = Field(max_length=200)


class EmailChange(Contract):
    """``PUT /account/email``: a link goes to the new address; the old one stays until it is used."""

    current: SecretStr = Field(max_length=200)
    email: str = Field(max_length=254)


class CurrentSecret(Contract):
    """``POST /account/one-time-codes`` and ``POST /account/one-time-codes/end``."""

    current: SecretStr = Field(max_length=200)


class OneTimeCodeKey(Contract):
    """What the telephone must know, as text and as the address a QR code holds; not in use until one code was given."""

    key: str
    uri: str


class OneTimeCode(Contract):
    """``PUT /account/one-time-codes``: the first code of the telephone."""

    code: SecretStr = Field(max_length=40)


class RecoveryCodes(Contract):
    """Shown once; each replaces one code of the authenticator."""

    codes: tuple[str, ...]


class GuardianRequest(Contract):
    """A guardian to be written down. Codes are drawn when none are given; only an administrator may give them."""

    first_name: Line
    last_name: Line
    email: str | None = Field(default=None, max_length=254)
    identifier: Identifier | None = None
    secret: SecretStr | None = Field(default=None, min_length=8, max_length=200)


class ChildRequest(Contract):
    """A child to be written down; ``child_id`` names one that another household has already."""

    child_id: UUID | None = None
    first_name: Line
    last_name: Line
    birth_date: Day
    school: Line
    class_name: Line
    custody: Custody = Custody.FREE
    custody_days: tuple[Span, ...] = Field(default=(), max_length=SPANS_MAX)


class HouseholdRequest(Contract):
    """``POST /households``: a household, its guardians and its children; the reference is its idempotency key."""

    reference: Reference
    name: Line
    address: tuple[Line, ...] = Field(min_length=1, max_length=ADDRESS_LINES_MAX)
    locale: Language = Language.FR
    guardians: tuple[GuardianRequest, ...] = Field(min_length=1, max_length=GUARDIANS_MAX)
    children: tuple[ChildRequest, ...] = Field(default=(), max_length=CHILDREN_MAX)


class GuardianUpdate(Contract):
    """The new state of a guardian; without ``guardian_id`` a new one."""

    guardian_id: UUID | None = None
    first_name: Line
    last_name: Line
    email: str | None = Field(default=None, max_length=254)


class HouseholdUpdate(Contract):
    """``PUT /households/{household_id}``: the new state of the household; ``seen_version`` is the version it was made
    from.

    The ids in ``removed`` are removed: a guardian's account is closed, a child no longer belongs to this household.
    All other members must be listed: nobody is removed by omission.
    """

    seen_version: Version
    name: Line
    address: tuple[Line, ...] = Field(min_length=1, max_length=ADDRESS_LINES_MAX)
    locale: Language
    guardians: tuple[GuardianUpdate, ...] = Field(min_length=1, max_length=GUARDIANS_MAX)
    children: tuple[ChildRequest, ...] = Field(default=(), max_length=CHILDREN_MAX)
    removed: frozenset[UUID] = Field(default=frozenset(), max_length=GUARDIANS_MAX + CHILDREN_MAX)


class GuardianView(Contract):
    """A guardian as shown; ``signed_in_once`` is false as long as only the letter's codes exist, or not even they."""

    guardian_id: UUID
    first_name: Label
    last_name: Label
    email: str | None
    identifier: str
    letter_at: Instant | None = None
    signed_in_once: bool = True


class AccessCodes(Contract):
    """The identifier and secret of a guardian, shown once, when they are made."""

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
    active: bool = True
    erased: bool = False
    locale: Language = Language.FR
    guardians: tuple[GuardianView, ...]
    children: tuple[HouseholdChild, ...]


class HouseholdCreated(Contract):
    """The household, and the codes for its letters."""

    household: HouseholdView
    access_codes: tuple[AccessCodes, ...]


class HouseholdList(Contract):
    """``GET /households?search=…&limit=…``: by reference; ``total`` counts what the search found."""

    households: tuple[HouseholdView, ...]
    total: int = 0
    without_letter: int = 0


class LettersRequest(Contract):
    """``POST /letters``: new codes and their letters as PDF, for one household or the next that never had any."""

    household_id: UUID | None = None
    limit: int = Field(default=200, ge=1, le=500)


class Letter(Contract):
    """The letter of one guardian: where it goes and the two codes; ``locale`` is the household's."""

    town: Label
    portal: str
    reference: Reference
    name: FullName
    address: tuple[Label, ...]
    locale: Language = Language.FR
    identifier: str
    secret: str


class ImportStatus(StrEnum):
    """Where a file of families stands."""

    READING = "reading"
    REFUSED = "refused"
    READ = "read"
    APPLYING = "applying"
    APPLIED = "applied"


class FileError(Contract):
    """What cannot be read: the line of the file (the header is 1) and the column's name."""

    line: int
    column: str
    message: str


class Difference(Contract):
    """One household and what the file changes there; or a school and the classes that it adds to the list."""

    kind: str = Field(pattern="^(added|changed|gone|school)$")
    reference: str
    name: str
    details: tuple[str, ...] = ()


class ImportReport(Contract):
    """What a file would change: counts, and the first differences in words."""

    households: int = 0
    guardians: int = 0
    children: int = 0
    added: int = 0
    changed: int = 0
    gone: int = 0
    same: int = 0
    differences: tuple[Difference, ...] = ()
    errors: tuple[FileError, ...] = ()


class ImportView(Contract):
    """``POST /imports`` (the file as body), ``GET /imports/{import_id}``."""

    import_id: UUID
    file_name: str
    status: ImportStatus
    done: int
    total: int
    close_missing: bool
    report: ImportReport


class ImportApply(Contract):
    """``POST /imports/{import_id}/apply``: apply the report; households missing in the file are closed only with
    ``close_missing``."""

    close_missing: bool = False


class SecurityFactView(Contract):
    """What happened to an account."""

    at: Instant
    fact: str
    address: str


class GuardianExport(Contract):
    """All that is kept of a guardian, but for secrets."""

    guardian: GuardianView
    email_confirmed_at: Instant | None
    roles: tuple[Role, ...]
    sessions: tuple[SessionView, ...]
    facts: tuple[SecurityFactView, ...]


class HouseholdExport(Contract):
    """``GET /households/{household_id}/export``: all that auth keeps on a household (RGPD, articles 15 and 20)."""

    household: HouseholdView
    guardians: tuple[GuardianExport, ...]


class Erasure(Contract):
    """``POST /households/{household_id}/erase``: its reference again, so that nobody is erased by a slip."""

    reference: Reference
