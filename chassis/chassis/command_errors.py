"""The error output of commands: one sentence, and an exit status that scripts can distinguish."""

import asyncpg
from pydantic import ValidationError

from chassis.broker import AWAY as BROKER_AWAY
from chassis.database import AWAY as DATABASE_AWAY
from contracts.failures import Invalid, Refusal

FAILED = 1
"""The command was valid and failed."""
MISUSED = 2
"""The command is invalid: an argument is missing, unknown or out of range."""


class BadArgument(Exception):  # noqa: N818 - an answer to the user
    """An invalid argument; the message says what it may be."""


class SetUpRefused(Exception):  # noqa: N818 - an answer
    """Set-up found data over which the program must not run; the message says what to do."""


def explain(error: Exception) -> tuple[str, int] | None:
    """The sentence and exit status of an expected failure; None for a defect, which raises."""
    if sentence := _misuse(error):
        return sentence, MISUSED
    if sentence := _failure(error):
        return sentence, FAILED
    return None


def _misuse(error: Exception) -> str | None:
    match error:
        case BadArgument():
            return str(error)
        case ValidationError():
            return "; ".join(f"{' '.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        case Invalid():
            problems = [f"{each['field']}: {each['message']}" for each in error.facts.get("errors", ())]
            return ": ".join([error.detail, *problems])
        case UnicodeDecodeError():
            return f"the file is not UTF-8 text (byte {error.start})"
        case OSError() if error.filename:
            return f"{error.filename}: {error.strerror}"
    return None


def _failure(error: Exception) -> str | None:
    """The sentence of a failure; of a database error without its detail, which shows the row."""
    match error:
        case Refusal():
            return error.detail
        case asyncpg.IntegrityConstraintViolationError() | asyncpg.DataError():
            return f"the database refuses this: {error.args[0]}"
    if isinstance(error, (*DATABASE_AWAY, *BROKER_AWAY)):
        return f"database or broker away: {str(error) or type(error).__name__}"
    return None
