"""What auth refuses, by name."""

from contracts.failures import Conflict, TooMany, Unauthenticated


class WrongCodes(Unauthenticated):
    """The two codes do not go together; never says which is wrong."""

    code = "wrong_codes"


class SignInLocked(TooMany):
    """Too many failures for this account or from this address."""

    code = "sign_in_locked"


class SessionOver(Unauthenticated):
    """The session ended, expired or never was."""

    code = "session_ended"


class IdentifierTaken(Conflict):
    """Somebody signs in with this identifier already."""

    code = "identifier_taken"


class ReferenceTaken(Conflict):
    """Another household has this reference."""

    code = "reference_taken"
