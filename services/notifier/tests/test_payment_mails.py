"""The mails of a payment's story: for its household without addresses, for staff with the mail server's answer."""

from typing import Any
from uuid import uuid4

from contracts.identity import Role


async def test_a_payments_mails_are_told_to_its_household_and_to_staff(post: Any) -> None:
    await post.known()
    event = post.confirmed()
    await post.hears(event)
    await post.mails(1)
    path = f"/households/{post.household}/payments/{event.payment_id}/mails"
    (mine,) = (await (await post.client.get(path, headers=post.parent())).json())["mails"]
    assert (mine["kind"], mine["status"], mine["recipient"], mine["answer"]) == ("ticket", "sent", None, None)
    assert mine["sent_at"]
    (theirs,) = (await (await post.client.get(path, headers=post.staff(Role.CASHIER))).json())["mails"]
    assert (theirs["recipient"], theirs["sent_at"]) == ("camille@example.org", mine["sent_at"])
    assert theirs["answer"]
    for household, payment in ((uuid4(), event.payment_id), (post.household, uuid4())):
        other = await post.client.get(f"/households/{household}/payments/{payment}/mails", headers=post.staff())
        assert (await other.json())["mails"] == []
    stranger = await post.client.get(path.replace(str(post.household), str(uuid4())), headers=post.parent())
    assert stranger.status == 404
