"""SMTP."""

from email.message import EmailMessage

import aiosmtplib

from notifier.settings import Settings


class NeverDeliverable(Exception):  # noqa: N818 - the mail server's answer
    """The mail server refuses this mail for good."""


class NotDeliveredYet(Exception):  # noqa: N818 - the mail server's answer
    """The mail server is away or asks for patience."""


async def send(message: EmailMessage, settings: Settings) -> str:
    """Hand the message over; the server's answer once it has taken it."""
    try:
        _refused, answer = await aiosmtplib.send(
            message,
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_username,
            password=settings.smtp_password,
            use_tls=settings.smtp_tls == "tls",
            start_tls=settings.smtp_tls == "starttls",
            timeout=settings.smtp_seconds_max,
        )
    except aiosmtplib.SMTPRecipientsRefused as error:
        code = max(each.code for each in error.recipients)
        raise _failure(code, str(error)) from error
    except aiosmtplib.SMTPAuthenticationError as error:
        raise NotDeliveredYet(str(error)) from error  # a wrong password is ours to mend, not the mail's fault
    except aiosmtplib.SMTPResponseException as error:
        raise _failure(error.code, str(error)) from error
    except (aiosmtplib.SMTPException, OSError) as error:
        raise NotDeliveredYet(str(error) or type(error).__name__) from error
    return answer


def _failure(code: int, answer: str) -> Exception:
    return NeverDeliverable(answer) if code >= 500 else NotDeliveredYet(answer)
