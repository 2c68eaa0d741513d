"""Whatever bytes come to a bank's door: an answer below 500, and nothing moves. ``FUZZ`` says how many."""

import asyncio
import os
import random
from collections import Counter
from typing import Any
from urllib.parse import quote, urlencode

import pytest

MANY, AT_ONCE = int(os.environ.get("FUZZ", "400")), 20
WORDS = (
    *("idop", "vads_order_id", "vads_amount", "signature", "amount", "ref", "error", "sign", "door"),
    *("livemode", "type", "data", "object", "checkout.session.completed", "charge.refunded"),
)


class Caller:
    """Calls that no bank would make, drawn from a seed, some of them near to a real one."""

    def __init__(self, till: Any, payment: dict[str, Any]) -> None:
        self.draw, self.till = random.Random(MANY), till
        self.known = [till.id_op(payment), payment["payment_id"], "nobodyguessesthisaddress", "4250", "00000"]

    def text(self) -> str:
        noise = self.draw.randbytes(self.draw.randrange(20)).decode("latin-1")
        return self.draw.choice([*self.known, *WORDS[:9], noise, noise, noise])

    def signature(self) -> str:
        instant = self.draw.randrange(2**34)
        return self.draw.choice(["", "t=1,v1=aa", f"t={instant},v1={self.draw.randbytes(32).hex()}"])

    def body(self) -> bytes:
        draw = self.draw
        pairs = [(draw.choice(WORDS), self.text()) for _ in range(draw.randrange(8))]
        quoted = "{" + ",".join(f'"{name}":"{value}"' for name, value in pairs) + "}"
        return draw.choice([draw.randbytes(draw.randrange(300)), urlencode(pairs).encode(), quoted.encode()])

    async def call(self) -> int:
        draw = self.draw
        query = "&".join(f"{draw.choice(WORDS)}={quote(self.text())}" for _ in range(draw.randrange(3)))
        door = draw.choice(["", "door=nobodyguessesthisaddress&"])
        method, headers = draw.choice(["GET", "POST"]), {"Stripe-Signature": self.signature()}
        path = f"{self.till.webhook}?{door}{query}"
        async with self.till.client.request(method, path, data=self.body(), headers=headers) as answer:
            return int(answer.status)


@pytest.mark.every_bank
@pytest.mark.timeout(7_200)
async def test_whatever_bytes_come_nothing_moves(till: Any) -> None:
    payment = await till.begin()
    await till.sql("UPDATE payment SET look_up_at = NULL")  # a bank that is asked moves it too
    caller, found = Caller(till, payment), Counter[int]()
    for _ in range(0, MANY, AT_ONCE):
        found.update(await asyncio.gather(*(caller.call() for _ in range(AT_ONCE))))
    assert found.keys() <= {200, 400, 404}, found
    assert (200 in found) == (till.bank_name == "payfip"), found
    assert (await till.get(payment))["status"] == "pending"
    assert await till.sql("SELECT count(*) FROM payment_move") == 1
    await till.probe.none("payment.confirmed")
