"""What a command prints when it cannot be done: one sentence, and an exit status that a script can tell apart."""

import asyncpg
from pydantic import ValidationError

from chassis.broker import AWAY as BROKER_AWAY
from chassis.database import AWAY as DATABASE_AWAY
from contracts.failures import Invalid, Refusal

FAILED = 1
"""The command was understood and could not be done."""
MISUSED = 2
"""The command itself is wrong: an argument that is missing, unknown or out of its range."""


class BadArgument(Exception):  # noqa: N818 - an answer to whoever typed it
    """An argument that cannot be used; the message is a sentence that says what it may be."""


class SetUpRefused(Exception):  # noqa: N818 - an answer
    """Set-up found something over which the program must not run; the message says what to do."""


def explain(error: Exception) -> tuple[str, int] | None:
    """The sentence and the exit status for an expected failure of a command; None for a defect, which crashes."""
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
    """A message of the database without its detail, which shows the row, with the hash of a secret in it."""
    match error:
        case Refusal():
            return error.detail
        case asyncpg.IntegrityConstraintViolationError() | asyncpg.DataError():
            return f"the database refuses this: {error.args[0]}"
    if isinstance(error, (*DATABASE_AWAY, *BROKER_AWAY)):
        return f"database or broker away: {str(error) or type(error).__name__}"
    return None
