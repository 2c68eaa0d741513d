"""What a conductor may do to a town: each fault does its harm for so many seconds, then mends it.

A fault's function gets the town, what it is aimed at, its length and a chance of its own; it returns what it did where
that is a number of things. ``FAULTS`` is the table they are drawn from.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

import aio_pika
import aiohttp

from chassis.broker import AWAY as BROKER_AWAY
from chassis.database import AWAY as DATABASE_AWAY
from local_stack.banks import WEBHOOKS
from local_stack.stack import PROGRAMS, SERVICES
from tests.chaos.messages import duplicate, reorder, spoil
from tests.chaos.tenant import Town

Harm = Callable[[Town, str, float, Random], Awaitable[str]]
BETWEEN_TRIES_SECONDS = 0.5


@dataclass(frozen=True)
class Fault:
    """``name`` is what the report says; of ``targets`` one is hit; it lasts between the two numbers of ``seconds``."""

    name: str
    harm: Harm
    targets: tuple[str, ...]
    seconds: tuple[float, float]


def _one(town: Town, name: str, chance: Random) -> int:
    return chance.randrange(len(town.replicas[name].programs))


async def kill_replica(town: Town, name: str, seconds: float, chance: Random) -> str:
    number = _one(town, name, chance)
    await town.replicas[name].programs[number].kill()
    await asyncio.sleep(seconds)
    await town.replicas[name].revive(number)
    return ""


async def kill_service(town: Town, name: str, seconds: float, _chance: Random) -> str:
    programs = town.replicas[name].programs
    await asyncio.gather(*(each.kill() for each in programs))
    await asyncio.sleep(seconds)
    await asyncio.gather(*(town.replicas[name].revive(number) for number in range(len(programs))))
    return ""


async def pause_replica(town: Town, name: str, seconds: float, chance: Random) -> str:
    program = town.replicas[name].programs[_one(town, name, chance)]
    program.pause()
    try:
        await asyncio.sleep(seconds)
    finally:
        program.go_on()
    return ""


async def restart_replica(town: Town, name: str, seconds: float, chance: Random) -> str:
    number = _one(town, name, chance)
    await town.replicas[name].programs[number].stop()
    await town.replicas[name].revive(number)
    return ""


async def kill_server(town: Town, name: str, seconds: float, _chance: Random) -> str:
    server = town.stack.postgres if name == "postgresql" else town.stack.rabbit
    await server.kill()
    await asyncio.sleep(seconds)
    await server.start()
    return ""


async def restart_server(town: Town, name: str, _seconds: float, _chance: Random) -> str:
    server = town.stack.postgres if name == "postgresql" else town.stack.rabbit
    await server.stop()
    await server.start()
    return ""


async def pause_server(town: Town, name: str, seconds: float, _chance: Random) -> str:
    server = town.stack.postgres if name == "postgresql" else town.stack.rabbit
    server.pause()
    try:
        await asyncio.sleep(seconds)
    finally:
        server.go_on()
    return ""


async def slow_wire(town: Town, name: str, seconds: float, chance: Random) -> str:
    wire = town.wires[name]
    wire.delay_seconds = chance.choice((0.02, 0.1, 0.4))
    try:
        await asyncio.sleep(seconds)
    finally:
        wire.delay_seconds = 0.0
    return ""


async def reset_wire(town: Town, name: str, seconds: float, _chance: Random) -> str:
    """All connections at once, three times."""
    for _ in range(3):
        town.wires[name].reset()
        await asyncio.sleep(seconds / 3)
    return ""


async def half_open_wire(town: Town, name: str, seconds: float, _chance: Random) -> str:
    town.wires[name].silence()
    try:
        await asyncio.sleep(seconds)
    finally:
        await town.wires[name].end_silence()
    return ""


async def cut_wire(town: Town, name: str, seconds: float, _chance: Random) -> str:
    await town.wires[name].cut()
    try:
        await asyncio.sleep(seconds)
    finally:
        await town.wires[name].mend()
    return ""


def bank_does(**switches: object) -> Harm:
    """The bank behaves so, then well again."""

    async def harm(town: Town, _name: str, seconds: float, _chance: Random) -> str:
        await _switch(town, **switches)
        try:
            await asyncio.sleep(seconds)
        finally:
            await _switch(town, **WELL)
        return ""

    return harm


WELL = {"notice": "once", "service_down": False, "slow_seconds": 0.0, "answer_in_pieces": False, "forged": False}
WELL |= {"answer_delay_seconds": 0.0}


async def _switch(town: Town, **switches: object) -> None:
    url = f"{town.stack.url('bank')}/api/faults"
    async with aiohttp.ClientSession() as http, http.put(url, json=switches) as response:
        assert response.status == 200, await response.text()


async def forge(town: Town, _name: str, seconds: float, chance: Random) -> str:
    """Somebody calls every bank's door: with numbers that the bank knows, with others, with bytes that are nothing."""
    sent = 0
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
        async with http.get(f"{town.stack.url('bank')}/api/book") as response:
            known = [each["id_op"] for each in await response.json()]
        for _ in range(max(1, int(seconds * 4))):
            id_op = chance.choice([*known[-20:], f"{chance.getrandbits(128):032x}"])
            body = {"idop": id_op, "vads_trans_status": "AUTHORISED", "signature": "AAAA", "vads_order_id": id_op}
            body |= {"amount": "1", "ref": id_op, "error": "00000", "sign": "AAAA"}
            data = body if chance.random() < 0.8 else chance.randbytes(60)
            url = f"{town.stack.gateway_url}/webhooks/{chance.choice(WEBHOOKS)}"
            try:
                async with http.post(url, data=data, headers={"Stripe-Signature": "t=1,v1=aa"}) as response:
                    sent += 1
                    assert response.status != 500, await response.text()
            except (TimeoutError, aiohttp.ClientError):
                pass
            await asyncio.sleep(0.25)
    return f"{sent} calls"


async def refuse_mail(town: Town, _name: str, seconds: float, chance: Random) -> str:
    """The mail server is there and asks for patience, or fails."""
    answer = chance.choice(("451 4.7.1 too many messages", "421 closing", "452 no space", "450 try again"))
    await _mail_answers(town, answer)
    try:
        await asyncio.sleep(seconds)
    finally:
        await _mail_answers(town, "250 OK")
    return answer


async def _mail_answers(town: Town, answer: str) -> None:
    url = f"{town.stack.url('mail')}/api/answer"
    async with aiohttp.ClientSession() as http, http.put(url, json={"answer": answer}) as response:
        assert response.status == 200


def at_broker(do: Callable[[Town, aio_pika.abc.AbstractChannel, Random], Awaitable[str]]) -> Harm:
    """Done over a connection of the set-up account; tried again while a server is away, as long as the fault lasts."""

    async def harm(town: Town, _name: str, seconds: float, chance: Random) -> str:
        give_up = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < give_up:
            try:
                connection = await aio_pika.connect(town.stack.rabbit.url(), timeout=3)
                async with asyncio.timeout(15), connection:
                    return await do(town, await connection.channel(publisher_confirms=True), chance)
            except (*BROKER_AWAY, *DATABASE_AWAY):
                await asyncio.sleep(BETWEEN_TRIES_SECONDS)
        return "not done: the servers were away"

    return harm


SERVER = ("postgresql", "rabbitmq")
WIRES = ("postgresql", "rabbitmq", "bank", "smtp")
BANK, MAIL, MESSAGES = ("bank",), ("smtp",), ("messages",)
FAULTS = (
    Fault("a replica killed (-9)", kill_replica, PROGRAMS, (0.5, 4)),
    Fault("a service killed (-9), every replica", kill_service, SERVICES, (0.5, 3)),
    Fault("a replica paused", pause_replica, PROGRAMS, (2, 10)),
    Fault("a replica restarted", restart_replica, PROGRAMS, (0, 0)),
    Fault("PostgreSQL killed (-9)", kill_server, ("postgresql",), (0.5, 3)),
    Fault("PostgreSQL restarted", restart_server, ("postgresql",), (0, 0)),
    Fault("PostgreSQL paused", pause_server, ("postgresql",), (1, 8)),
    Fault("RabbitMQ killed (-9)", kill_server, ("rabbitmq",), (0.5, 3)),
    Fault("RabbitMQ restarted", restart_server, ("rabbitmq",), (0, 0)),
    Fault("RabbitMQ paused", pause_server, ("rabbitmq",), (1, 12)),
    Fault("a wire slow", slow_wire, WIRES, (2, 8)),
    Fault("a wire's connections reset", reset_wire, WIRES, (1, 3)),
    Fault("a wire's connections half open", half_open_wire, WIRES, (5, 25)),
    Fault("a wire cut", cut_wire, WIRES, (1, 6)),
    Fault("the bank notifies ten times", bank_does(notice="ten_times"), BANK, (3, 8)),
    Fault("the bank notifies late", bank_does(notice="late", late_seconds=7.0), BANK, (3, 8)),
    Fault("the bank does not notify", bank_does(notice="never"), BANK, (3, 8)),
    Fault("the bank notifies before it knows", bank_does(notice="early", answer_delay_seconds=4.0), BANK, (3, 8)),
    Fault("the bank signs wrongly", bank_does(forged=True), BANK, (2, 5)),
    Fault("the bank's service away", bank_does(service_down=True), BANK, (2, 8)),
    Fault("the bank's service slow", bank_does(slow_seconds=3.0), BANK, (3, 8)),
    Fault("the bank answers in pieces", bank_does(answer_in_pieces=True), BANK, (3, 8)),
    Fault("notifications forged", forge, ("webhooks",), (2, 6)),
    Fault("the mail server refuses", refuse_mail, MAIL, (2, 8)),
    Fault("the mail server away", cut_wire, MAIL, (2, 10)),
    Fault("events said again, shuffled", at_broker(duplicate), MESSAGES, (10, 10)),
    Fault("a queue's messages reordered", at_broker(reorder), MESSAGES, (10, 10)),
    Fault("a message that nobody can read", at_broker(spoil), MESSAGES, (10, 10)),
)
