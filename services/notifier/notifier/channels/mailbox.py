"""The mailbox that reports come back to, read by IMAP. Nothing in it is ever changed."""

import asyncio
import imaplib
import re
import ssl
from dataclasses import dataclass

from notifier.settings import Settings

ANSWER_SECONDS_MAX = 20.0
REPORT_BYTES_MAX = 1_048_576
SIZE = re.compile(rb"RFC822\.SIZE (\d+)")
HEAD = "(RFC822.SIZE BODY.PEEK[HEADER.FIELDS (CONTENT-TYPE)])"


class Unreadable(Exception):  # noqa: N818 - the other side's answer
    """The mailbox cannot be read now."""


@dataclass(frozen=True)
class Read:
    """Reports that are new, how far the mailbox is read now, and whether there is more."""

    reports: tuple[bytes, ...]
    uid_validity: int
    last_uid: int
    is_all: bool


async def read_after(settings: Settings, uid_validity: int, last_uid: int, limit: int) -> Read:
    """The reports among the next ``limit`` mails after the last one read; ``Unreadable`` when the server is away."""
    return await asyncio.to_thread(_read_after, settings, uid_validity, last_uid, limit)


def _read_after(settings: Settings, uid_validity: int, last_uid: int, limit: int) -> Read:
    try:
        with _connected(settings) as server:
            assert settings.bounce_imap_password is not None, "settings have checked it"
            server.login(settings.bounce_imap_username or "", settings.bounce_imap_password.get_secret_value())
            _want(server.select(f'"{settings.bounce_imap_folder}"', readonly=True))
            _, (validity, *_rest) = server.response("UIDVALIDITY")
            now_valid = int(validity or 0)
            after = last_uid if now_valid == uid_validity else 0
            (found,) = _want(server.uid("SEARCH", f"UID {after + 1}:*"))
            # « 8:* » means the last mail even where there is none from 8 on.
            uids = sorted(uid for uid in map(int, (found or b"").split()) if uid > after)
            chosen = uids[:limit]
            reports = tuple(raw for uid in chosen if (raw := _report(server, uid)))
            return Read(reports, now_valid, chosen[-1] if chosen else after, is_all=len(chosen) == len(uids))
    except (OSError, imaplib.IMAP4.error) as error:
        raise Unreadable(str(error) or type(error).__name__) from error


def _connected(settings: Settings) -> imaplib.IMAP4:
    host, port = settings.bounce_imap_host or "", settings.bounce_imap_port
    if settings.bounce_imap_tls == "none":
        return imaplib.IMAP4(host, port, timeout=ANSWER_SECONDS_MAX)
    return imaplib.IMAP4_SSL(host, port, ssl_context=ssl.create_default_context(), timeout=ANSWER_SECONDS_MAX)


def _want(answer: tuple[str, list[bytes | None]]) -> list[bytes | None]:
    """What the server said, if it said yes."""
    status, data = answer
    if status != "OK":
        raise imaplib.IMAP4.error(f"{status}: {data!r}")
    return data


def _report(server: imaplib.IMAP4, uid: int) -> bytes | None:
    """A mail that says it is a report and is not huge; None for any other, or one that is gone meanwhile."""
    head = _pieces(server, uid, HEAD)
    size = SIZE.search(b" ".join(head))
    is_report = b"multipart/report" in b" ".join(head).lower()
    if size is None or not is_report or int(size[1]) > REPORT_BYTES_MAX:
        return None
    return max(_pieces(server, uid, "(BODY.PEEK[])"), key=len, default=None)


def _pieces(server: imaplib.IMAP4, uid: int, what: str) -> list[bytes]:
    """Every piece of an answer, literals included."""
    _status, data = server.uid("FETCH", str(uid), what)
    return [piece for each in data for piece in (each if isinstance(each, tuple) else (each,)) if piece]
