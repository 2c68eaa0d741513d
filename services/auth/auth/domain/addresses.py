"""Email addresses in their normal form."""

from email_validator import EmailNotValidError, validate_email

from auth.domain.failures import EmailWrong


def checked_email(email: str) -> str:
    """The address in its normal form; ``EmailWrong`` when it cannot be one. Nothing is asked of the network."""
    try:
        return validate_email(email.strip(), check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        message = "this is not an email address"
        raise EmailWrong(message, errors=[{"field": "email", "message": str(error)}]) from None
