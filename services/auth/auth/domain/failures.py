"""What auth refuses, by name."""

from contracts.failures import Conflict, Forbidden, Invalid, TooMany, Unauthenticated


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


class SetUpWanted(Forbidden):
    """The session opens nothing yet; ``stage`` says what it still wants."""

    code = "set_up_wanted"


class SecretRefused(Invalid):
    """The chosen secret is too easy; ``reason`` is ``too_short``, ``common`` or ``personal``."""

    code = "secret_refused"


class WrongSecret(Invalid):
    """The present secret, asked for again, is wrong."""

    code = "wrong_secret"


class WrongOneTimeCode(Invalid):
    """The one-time code is wrong, late, or was used before."""

    code = "wrong_one_time_code"


class CodesOnAlready(Conflict):
    """One-time codes are in use: they are put out of use first."""

    code = "codes_on_already"


class LinkOver(Conflict):
    """The link was used, is too old, or the account has changed since."""

    code = "link_over"


class EmailWrong(Invalid):
    """This cannot be an email address."""

    code = "email_wrong"


class EmailOwned(Invalid):
    """The address was confirmed by its owner, who alone changes it; ``guardian`` is the place in the request."""

    code = "email_owned"


class LeftOut(Invalid):
    """The request neither names nor removes somebody whom the household has."""

    code = "left_out"


class HouseholdMoved(Conflict):
    """The household was changed since it was read; ``version`` is the one that is there."""

    code = "household_moved"


class ImportNotReady(Conflict):
    """The file is being read, was refused, or was applied already."""

    code = "import_not_ready"


class SchoolUnknown(Invalid):
    """The school, or the class in it, is not registered; ``near`` are names that may be meant."""

    code = "school_unknown"


class SchoolMoved(Conflict):
    """The school was changed since it was read; ``version`` is the one that is there."""

    code = "school_moved"


class SchoolNameTaken(Conflict):
    """Another school has this name, however it is written."""

    code = "school_name_taken"
