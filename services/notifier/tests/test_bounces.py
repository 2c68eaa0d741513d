"""What comes back: by the hook or by a mailbox, recorded once, shown, and heeded."""

import asyncio
from collections.abc import AsyncIterator
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from pydantic import SecretStr, ValidationError

from chassis.clock import now
from chassis.encryption import Encryption
from chassis.testing import eventually
from contracts.events.auth import ResetRequested
from local_stack.imap import PASSWORD, USER, ImapServer
from notifier.app import build
from notifier.domain.bounces import read_bounce
from notifier.jobs import read_bounces
from notifier.settings import Settings

REPORTS = "SELECT count(*) FROM bounce"


def report(
    message_id: str,
    action: str = "failed",
    status: str = "5.1.1",
    returned: str = "text/rfc822-headers",
    encoding: str = "7bit",
) -> bytes:
    """A delivery status notification as mail servers write them."""
    headers = f"Message-ID: {message_id}\r\nTo: camille@example.org\r\n"
    parts = (
        ("text/plain", "Sorry."),
        (
            "message/delivery-status",
            "Reporting-MTA: dns; mx.example.org\r\n\r\nFinal-Recipient: rfc822; camille@example.org\r\n"
            f"Action: {action}\r\nStatus: {status}\r\nDiagnostic-Code: smtp; 550 {status} mailbox unavailable\r\n",
        ),
        (f"{returned}\r\nContent-Transfer-Encoding: {encoding}", headers),
    )
    body = "".join(f"--b\r\nContent-Type: {kind}\r\n\r\n{text}\r\n" for kind, text in parts)
    top = 'MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
    return f"{top}{body}--b--\r\n".encode()


async def by_hook(post: Any, raw: bytes) -> int:
    headers = {"Authorization": f"Bearer {post.settings.bounce_secret.get_secret_value()}"}
    status: int = (await post.client.post("/bounces", data=raw, headers=headers)).status
    return status


async def sent_mail(post: Any) -> EmailMessage:
    await post.known()
    await post.probe.publish(post.confirmed())
    (mail,) = await post.mails(1)
    await post.line("sent")
    found: EmailMessage = mail
    return found


@pytest.fixture
async def mailbox() -> AsyncIterator[ImapServer]:
    server = ImapServer()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def reader(post: Any, mailbox: ImapServer, **more: Any) -> web.Application:
    """A replica that reads the mailbox."""
    found = {
        "bounce_imap_host": "127.0.0.1",
        "bounce_imap_port": mailbox.port,
        "bounce_imap_tls": "none",
        "bounce_imap_username": USER,
        "bounce_imap_password": SecretStr(PASSWORD),
    }
    return build(post.settings.model_copy(update={**found, **more}))


async def test_what_the_hook_is_given_is_kept_and_shown(post: Any) -> None:
    mail = await sent_mail(post)
    wrong = await post.client.post("/bounces", data=report("<x@y>"), headers={"Authorization": "Bearer no"})
    assert wrong.status == 401
    ordinary = EmailMessage()
    ordinary.set_content("hello")
    for raw, status in (
        (ordinary.as_bytes(policy=SMTP_POLICY), 422),
        (b"\xff\x00", 422),
        (report(mail["Message-ID"], "delayed", "4.4.1"), 204),
        (report(f"<{uuid4()}@elsewhere.example>"), 204),
    ):
        assert await by_hook(post, raw) == status
    assert (await post.line("sent"))["mail_id"]
    assert await by_hook(post, report(mail["Message-ID"])) == 204
    assert "mailbox unavailable" in (await post.line("bounced"))["last_answer"]
    listed = await (await post.client.get("/mails?status=bounced", headers=post.staff())).json()
    assert (len(listed["mails"]), listed["counts"]) == (1, {"bounced": 1})
    assert (await post.client.get("/mails?status=nothing", headers=post.staff())).status == 422


async def test_the_mailbox_is_read_once_whoever_reads_it_and_nothing_in_it_changes(
    post: Any, mailbox: ImapServer
) -> None:
    mail = await sent_mail(post)
    elsewhere = [report(f"<{uuid4()}@elsewhere.example>", status=f"5.1.{number}") for number in range(120)]
    answer = b"From: camille@example.org\r\nSubject: Merci\r\nContent-Type: text/plain\r\n\r\nBonjour"
    huge = report(mail["Message-ID"], "delayed", "4.4.1") + b"x" * 1_100_000
    await asyncio.to_thread(mailbox.receives, answer, report(mail["Message-ID"]), huge, *elsewhere)
    one, other = reader(post, mailbox), reader(post, mailbox)
    async with TestClient(TestServer(one)), TestClient(TestServer(other)):
        await asyncio.gather(*(read_bounces(app) for app in (one, other, one)))
        assert "mailbox unavailable" in (await post.line("bounced"))["last_answer"]
        assert await post.sql(REPORTS) == 121
        assert await by_hook(post, report(mail["Message-ID"])) == 204
        await read_bounces(one)
        assert await post.sql(REPORTS) == 121
        await asyncio.to_thread(mailbox.receives, report(f"<{uuid4()}@elsewhere.example>"))
        await read_bounces(other)
        assert await post.sql(REPORTS) == 122
        await asyncio.to_thread(mailbox.made_anew)
        await read_bounces(one)
        assert await post.sql(REPORTS) == 122
    assert await post.sql("SELECT last_uid FROM bounce_mailbox") == 124
    with mailbox.opened() as server:
        server.select("INBOX", readonly=True)
        assert server.uid("SEARCH", "SEEN")[1] == [b""]
        assert len(server.uid("SEARCH", "ALL")[1][0].split()) == 124


async def test_a_mailbox_that_is_away_or_closed_is_read_later(post: Any, mailbox: ImapServer) -> None:
    mail = await sent_mail(post)
    await asyncio.to_thread(mailbox.receives, report(mail["Message-ID"]))
    for more in ({"bounce_imap_port": 9}, {"bounce_imap_password": SecretStr("no")}, {"bounce_imap_folder": "Nowhere"}):
        closed = reader(post, mailbox, **more)
        async with TestClient(TestServer(closed)):
            await read_bounces(closed)
    assert await post.sql(REPORTS) == 0
    async with TestClient(TestServer(opened := reader(post, mailbox))):
        await read_bounces(opened)
        await post.line("bounced")


async def test_nothing_more_goes_to_an_address_that_nobody_reads_until_staff_send_again(post: Any) -> None:
    mail = await sent_mail(post)
    post.mail_server.answer = "451 not now"
    await post.hears(post.confirmed())
    await eventually(lambda: post.told("waiting", "451"))
    assert await by_hook(post, report(mail["Message-ID"])) == 204
    post.mail_server.answer = "250 OK"
    await post.hears(post.confirmed())
    link = ResetRequested(
        link_id=uuid4(),
        account_id=post.guardian,
        first_name="Camille",
        identifier="k7mqx2pd",
        email="camille@example.org",
        sealed_token=Encryption(post.settings.link_secret, "LINK_SECRET").encrypt(b"an-opaque-token").decode(),
        expires_at=now(),
    )
    await post.hears(link)
    await post.mails(2)
    stopped = [each for each in await post.log() if each["last_answer"] == "the address returns mails"]
    assert [each["status"] for each in stopped] == ["failed", "failed"]
    assert (await (await post.client.get("/preferences", headers=post.parent())).json())["email_returns"]
    again = f"/mails/{stopped[0]['mail_id']}/again"
    assert (await post.client.post(again, headers=post.staff())).status == 204
    await post.mails(3)
    await post.hears(post.confirmed())
    await post.mails(4)


async def test_a_new_address_is_written_to_at_once(post: Any) -> None:
    mail = await sent_mail(post)
    assert await by_hook(post, report(mail["Message-ID"])) == 204
    await post.known("other@example.org", version=2)
    assert not (await (await post.client.get("/preferences", headers=post.parent())).json())["email_returns"]
    await post.hears(post.confirmed())
    assert (await post.mails(2))[-1]["To"] == "other@example.org"


ONE_MAIL_ALONE = [
    ("failed", "5.2.2"),
    ("failed", "5.7.1"),
    ("failed", "5.0.0"),
    ("failed", "5.1.8"),
    ("delayed", "4.4.1"),
]


@pytest.mark.parametrize(("action", "status"), ONE_MAIL_ALONE)
async def test_a_full_mailbox_or_a_policy_concerns_one_mail_alone(post: Any, action: str, status: str) -> None:
    mail = await sent_mail(post)
    assert await by_hook(post, report(mail["Message-ID"], action, status)) == 204
    await post.hears(post.confirmed())
    await post.mails(2)


@pytest.mark.parametrize("returned", ["text/rfc822-headers", "message/rfc822"])
def test_the_mail_is_known_by_its_id_in_what_is_returned(returned: str) -> None:
    mail_id = uuid4()
    found = read_bounce(report(f"<{mail_id}@saint-aubin.example>", returned=returned))
    assert found is not None
    assert (found.mail_id, found.status, found.is_final, found.is_of_the_address) == (mail_id, "5.1.1", True, True)
    moved = b"Received: from elsewhere\r\n" + report(f"<{mail_id}@saint-aubin.example>", returned=returned)
    again = read_bounce(moved)
    assert again is not None
    assert again.fingerprint == found.fingerprint


def test_whatever_bytes_are_read_without_harm() -> None:
    usual = report(f"<{uuid4()}@saint-aubin.example>")
    for spoilt in (
        usual.replace(b"550", b"550 \x00\xff\xfe"),
        usual.replace(b"Action: failed", b"Action"),
        usual.replace(b"Message-ID: <", b"Message-ID: <no"),
        usual.replace(b"7bit", b"base64"),
        usual.replace(b"--b--", b""),
    ):
        found = read_bounce(spoilt)
        assert found is None or "\0" not in found.diagnostic
    assert read_bounce(b"") is None


async def test_a_mailbox_wants_its_codes(post: Any) -> None:
    with pytest.raises(ValidationError, match="BOUNCE_IMAP_USERNAME"):
        Settings(**{**post.settings.model_dump(), "bounce_imap_host": "imap.example"})


NOBODY_READS = ("5.1.1", "5.1.2", "5.1.3", "5.1.4", "5.1.6", "5.1.10", "5.2.1", "5.1.1 (bad destination mailbox)")
CONCERNS_ONE_MAIL = (
    *("5.0.0", "5.1.0", "5.1.5", "5.1.7", "5.1.8", "5.1.9", "5.1.11", "5.1.100", "5.2.0", "5.2.2", "5.2.3", "5.2.10"),
    *("5.3.0", "5.4.4", "5.5.0", "5.6.1", "5.7.1", "5.7.26", "4.1.1", "2.1.1", "5.1", "", "nonsense 5.1.1"),
)


@pytest.mark.parametrize("status", [*NOBODY_READS, *CONCERNS_ONE_MAIL])
def test_only_a_status_about_the_recipients_mailbox_says_that_nobody_reads_it(status: str) -> None:
    found = read_bounce(report(f"<{uuid4()}@example.org>", status=status))
    assert found is not None
    assert found.is_of_the_address is (status in NOBODY_READS)
