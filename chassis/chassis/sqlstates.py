"""What each error of PostgreSQL means for the caller: one table, by asyncpg class, with the SQLSTATE beside it.

An error that is not in the table is a defect of the statement, or a constraint that the service handles by name.
"""

from enum import Enum

import asyncpg


class Outcome(Enum):
    """What to do about an error; the transaction is rolled back in every case."""

    AWAY = "503 with Retry-After; the connection is of no more use and is ended, the next one is a new one"
    BUSY = "503 with Retry-After; the connection stays"
    CHANGED = "done once more at once, then 503 with Retry-After: a migration changed a table under a statement"
    UNREADABLE = "400: a text holds U+0000, from wherever it came"


SESSION_AWAY = (
    asyncpg.PostgresConnectionError,  # 08xxx: the connection broke, or the server refused it
    asyncpg.AdminShutdownError,  # 57P01: the server stops, or an administrator ended the session
    asyncpg.CrashShutdownError,  # 57P02: another session crashed, all of them end
    asyncpg.CannotConnectNowError,  # 57P03: the server starts, stops or recovers
    asyncpg.DatabaseDroppedError,  # 57P04
    asyncpg.IdleSessionTimeoutError,  # 57P05: the session has ended
    asyncpg.IdleInTransactionSessionTimeoutError,  # 25P03: the session has ended
    asyncpg.TransactionTimeoutError,  # 25P04: the session has ended
    asyncpg.ReadOnlySQLTransactionError,  # 25006: a standby, such as a primary that was demoted
    asyncpg.TooManyConnectionsError,  # 53300: no session was granted
)
"""No server accepts writes, as reported by the server."""

OUTCOMES: tuple[tuple[type[asyncpg.PostgresError], Outcome], ...] = (
    *((kind, Outcome.AWAY) for kind in SESSION_AWAY),
    (asyncpg.InvalidCachedStatementError, Outcome.CHANGED),  # 0A000, of a statement that was prepared before
    (asyncpg.LockNotAvailableError, Outcome.BUSY),  # 55P03: lock_timeout
    (asyncpg.ObjectInUseError, Outcome.BUSY),  # 55006
    (asyncpg.QueryCanceledError, Outcome.BUSY),  # 57014: statement_timeout, or an administrator
    (asyncpg.TransactionRollbackError, Outcome.BUSY),  # 40001, 40P01, 40003: serialization, deadlock
    (asyncpg.InsufficientResourcesError, Outcome.BUSY),  # 53000, 53100 (disk full), 53200 (memory), 53400
    (asyncpg.PostgresSystemError, Outcome.BUSY),  # 58000, 58030: the operating system refuses the server
    (asyncpg.CharacterNotInRepertoireError, Outcome.UNREADABLE),  # 22021
    (asyncpg.UntranslatableCharacterError, Outcome.UNREADABLE),  # 22P05
)

SERVER_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.TargetServerAttributeNotMatched,
    *SESSION_AWAY,
)
"""The same, and what asyncpg raises when it gets no answer or none it can use."""


def outcome_of(error: asyncpg.PostgresError) -> Outcome | None:
    """What to do about an error; None if it is unexpected."""
    return next((outcome for kind, outcome in OUTCOMES if isinstance(error, kind)), None)
