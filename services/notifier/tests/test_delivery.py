"""The sender against a mail server that refuses, throttles, hangs, hangs up and goes away."""

import asyncio
from typing import Any
from uuid import uuid4

from aiohttp.test_utils import TestClient, TestServer
from aiosmtpd.smtp import SMTP

from chassis.testing import eventually
from contracts.identity import Role
from notifier.app import build


async def test_a_dead_mail_server_delays_and_loses_nothing(post: Any) -> None:
    await post.known()
    post.mail_server.answer = "451 not now"
    await post.probe.publish(post.confirmed())

    async def asked_twice() -> bool:
        return post.mail_server.asked >= 1 and "451" in ((await post.log())[0]["last_answer"] or "")

    await eventually(asked_twice)
    post.mail_server.answer = "250 OK"
    await post.mails(1)


async def test_a_mail_refused_for_good_is_shown_as_failed(post: Any) -> None:
    await post.known()
    post.mail_server.answer = "550 no such person"
    await post.probe.publish(post.confirmed())
    assert "550" in (await post.line("failed"))["last_answer"]


async def test_a_server_that_is_away_for_a_while_loses_nothing(post: Any) -> None:
    await post.known()
    await post.mail_server.close()
    events = [post.confirmed() for _ in range(3)]
    for event in events:
        await post.hears(event)
    await eventually(lambda: post.told("waiting", "Connect"))
    await post.mail_server.open()
    mails = await post.mails(3)
    assert len({mail["Message-ID"] for mail in mails}) == 3


async def test_a_server_that_hangs_holds_up_nobody_for_ever(post: Any) -> None:
    await post.known()
    release = asyncio.Event()

    async def hang(_server: SMTP) -> str:
        await release.wait()
        return "451 too late"

    post.mail_server.behave = hang
    await post.hears(post.confirmed())
    await eventually(lambda: post.told("waiting", ""))
    post.mail_server.behave = None
    await post.mails(1)
    release.set()


async def test_a_server_that_hangs_up_in_the_middle_is_tried_again(post: Any) -> None:
    await post.known()

    async def hang_up(server: SMTP) -> str:
        assert server.transport is not None
        server.transport.abort()
        return "250 OK"

    post.mail_server.behave = hang_up
    await post.hears(post.confirmed())
    await eventually(lambda: post.told("waiting", ""))
    post.mail_server.behave = None
    await post.mails(1)


async def test_a_wrong_password_of_ours_is_no_fault_of_the_mail(post: Any) -> None:
    await post.known()
    post.mail_server.recipient_answer = "530 5.7.0 authentication required"
    await post.hears(post.confirmed())
    line = await post.line("failed")
    assert "530" in line["last_answer"]


async def test_a_domain_that_asks_for_patience_gets_it_and_others_do_not_wait(post: Any) -> None:
    await post.known()
    post.mail_server.answer = "421 4.7.0 too many messages, slow down"
    await post.hears(post.confirmed())
    await eventually(lambda: post.told("waiting", "421"))
    paused = await post.sql("SELECT domain FROM domain_pause WHERE not_before > now() - interval '1 hour'")
    assert paused == "example.org"
    post.mail_server.answer = "250 OK"
    await post.mails(1)
    assert await post.sql("SELECT count(*) FROM domain_pause") == 0


async def test_a_domains_rate_holds_and_the_rest_waits(post: Any) -> None:
    await post.known()
    slow = build(post.settings.model_copy(update={"mails_a_minute_a_domain": 2}))
    await post.client.close()
    for _ in range(5):
        await post.probe.publish(post.confirmed())
    async with TestClient(TestServer(slow)):
        await eventually(lambda: post.sql("SELECT count(*) = 5 FROM mail"))
        await post.mails(2)
        assert await post.sql("SELECT count(*) FROM mail WHERE status = 'waiting'") == 3


async def test_two_replicas_send_each_mail_once_over_few_connections(post: Any) -> None:
    await post.known()
    async with TestClient(TestServer(build(post.settings))):
        await asyncio.gather(*(post.probe.publish(post.confirmed()) for _ in range(60)))
        mails = await post.mails(60)
    assert len({mail["Message-ID"] for mail in mails}) == 60
    assert post.mail_server.connections <= 2 * post.settings.smtp_connections_max


async def test_a_mail_that_cannot_be_written_stops_no_other(post: Any) -> None:
    await post.known()
    await post.sql(
        "INSERT INTO mail (intent, kind, recipient, first_name, domain, person_id, event, priority, created_at, "
        "try_at) VALUES ('x', 'ticket', 'a@example.org', 'Ana', 'example.org', $1, '{}', 0, now(), now())",
        post.guardian,
    )
    await post.probe.publish(post.confirmed())
    await post.mails(1)
    assert (
        await post.sql("SELECT last_answer FROM mail WHERE status = 'failed'") == "cannot be written: ValidationError"
    )


async def test_a_dead_mail_is_listed_and_sent_again_to_the_address_known_now(post: Any) -> None:
    await post.known("typo@exampel.org")
    post.mail_server.recipient_answer = "550 5.1.1 no such person"
    await post.hears(post.confirmed())
    dead = await post.line("failed")
    post.mail_server.recipient_answer = "250 OK"
    again = f"/mails/{dead['mail_id']}/again"
    assert (await post.client.post(again, headers=post.parent())).status == 403
    await post.known("camille@example.org", version=2)
    assert (await post.client.post(again, headers=post.staff())).status == 204
    (mail,) = await post.mails(1)
    assert mail["To"] == "camille@example.org"
    assert (await post.client.post(again, headers=post.staff())).status == 404
    assert (await post.client.post(f"/mails/{uuid4()}/again", headers=post.staff(Role.CASHIER))).status == 404
