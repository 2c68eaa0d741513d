"""SMTP, over a few connections that are kept for many mails."""

import asyncio
import re
import time
from collections import deque
from dataclasses import dataclass
from email.message import EmailMessage

import aiosmtplib

from notifier.channels import NeverDeliverable, NotDeliveredYet, Throttled
from notifier.settings import Settings

IDLE_SECONDS = 5.0
"""After such a silence a server may have hung up: it is asked first."""
THROTTLING = re.compile(r"^4\.7\.\d+|\btoo (?:many|fast)\b|\brate\b|\bthrottl", re.IGNORECASE)
SERVICE_CLOSING = 421


@dataclass
class Kept:
    """An open connection, and when it was last used."""

    client: aiosmtplib.SMTP
    used_at: float


class Smtp:
    """The town's mail server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turns = asyncio.Semaphore(settings.smtp_connections_max)
        self._kept: deque[Kept] = deque()

    async def send(self, message: EmailMessage) -> str:
        """One mail, over a connection of its own for that time; a connection that failed is not used again."""
        async with self._turns:
            try:
                async with asyncio.timeout(self._settings.dialogue_seconds_max):
                    return await self._send(message)
            except TimeoutError as error:
                raise NotDeliveredYet("the mail server takes too long") from error

    async def _send(self, message: EmailMessage) -> str:
        """What the server says of the recipient or the message concerns this mail. What it says before concerns us
        all, our password or our address: the mail waits until that is mended."""
        try:
            client = await self._connected()
        except (aiosmtplib.SMTPException, OSError) as error:
            raise _ours(error) from error
        try:
            _refused, answer = await client.send_message(message)
        except aiosmtplib.SMTPRecipientsRefused as error:
            self._keep(client)
            worst = max(error.recipients, key=lambda each: each.code)
            raise _failure(worst.code, worst.message) from error
        except aiosmtplib.SMTPDataError as error:
            self._keep(client)
            raise _failure(error.code, error.message) from error
        except aiosmtplib.SMTPNotSupported as error:
            self._keep(client)
            raise NeverDeliverable(_said(error)) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            client.close()
            raise _ours(error) from error
        except asyncio.CancelledError:
            client.close()
            raise
        self._keep(client)
        return answer

    async def stop(self) -> None:
        """Close every connection."""
        while self._kept:
            self._kept.pop().client.close()

    async def _connected(self) -> aiosmtplib.SMTP:
        while self._kept:
            kept = self._kept.pop()
            if not kept.client.is_connected:
                continue
            if time.monotonic() - kept.used_at < IDLE_SECONDS:
                return kept.client
            try:
                await kept.client.noop()
            except (aiosmtplib.SMTPException, OSError):
                kept.client.close()
            else:
                return kept.client
        settings = self._settings
        client = aiosmtplib.SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_username,
            password=settings.smtp_password,
            use_tls=settings.smtp_tls == "tls",
            start_tls=settings.smtp_tls == "starttls",
            timeout=settings.smtp_seconds_max,
        )
        await client.connect()
        return client

    def _keep(self, client: aiosmtplib.SMTP) -> None:
        if client.is_connected:
            self._kept.append(Kept(client, time.monotonic()))


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def _failure(code: int, answer: str) -> Exception:
    """What an answer about this mail means, by its code."""
    said = f"{code} {answer}"
    if code >= 500:
        return NeverDeliverable(said)
    return Throttled(said) if code == SERVICE_CLOSING or THROTTLING.search(answer) else NotDeliveredYet(said)


def _ours(error: Exception) -> Exception:
    """What a failure before the recipient means: never the mail's fault."""
    is_throttling = isinstance(error, aiosmtplib.SMTPResponseException) and error.code == SERVICE_CLOSING
    return Throttled(_said(error)) if is_throttling else NotDeliveredYet(_said(error))
