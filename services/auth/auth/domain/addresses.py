"""Email addresses in their normal form."""

from email_validator import EmailNotValidError, validate_email

from auth.domain.failures import EmailWrong

ADDRESS_MAX = 254


def typed_email(email: str) -> str:
    """An address somebody typed to be looked for: in the same form, or as it is when it cannot be one."""
    try:
        return checked_email(email)
    except EmailWrong:
        return email.strip()


def checked_email(email: str) -> str:
    """The address as every mail server and bank can use it; ``EmailWrong`` when it cannot be one.

    A domain is in its ASCII form (IDNA 2008: « école.fr » is ``xn--cole-9oa.fr``). What stands before the @ must be
    ASCII: few servers take anything else (RFC 6531), and a mail to it would fail for good. Nothing is asked of the
    network.
    """
    try:
        found = validate_email(
            email.strip(), check_deliverability=False, test_environment=True, allow_smtputf8=False, strict=True
        ).ascii_email
        if found is None or len(found) > ADDRESS_MAX:
            raise EmailNotValidError("The address is too long or has no ASCII form.")  # noqa: TRY301
        return found
    except EmailNotValidError as error:
        message = "this is not an email address"
        raise EmailWrong(message, errors=[{"field": "email", "message": str(error)}]) from None
