"""The state machine of an attempt as data: the code moves by it, the database checks it, the docs draw it."""

from dataclasses import dataclass

from contracts.api.payment_gateway import Actor
from contracts.api.payment_gateway import PaymentStatus as S


@dataclass(frozen=True)
class Way:
    """A move that may be made: from any of ``origins``, on the word of any of ``said_by``, when ``when``."""

    origins: tuple[S, ...]
    to: S
    said_by: tuple[Actor, ...]
    when: str


BANK, PARENT, CLOCK, KEEPER = Actor.BANK, Actor.PARENT, Actor.CLOCK, Actor.CASHIER
_AT_BANK = (S.PENDING, S.PROCESSING)
_ENDED_UNPAID = (S.REFUSED, S.CANCELLED, S.EXPIRED)

WAYS: tuple[Way, ...] = (
    Way((S.CREATED,), S.PENDING, (BANK,), "the bank gave a reference, or the form to post is ready"),
    Way((S.CREATED,), S.FAILED, (BANK, CLOCK), "the bank would not open it, or was never reached"),
    Way((S.PENDING,), S.PROCESSING, (BANK,), "not final yet"),
    Way(_AT_BANK, S.REFUSED, (BANK,), "the bank refused"),
    Way(_AT_BANK, S.CANCELLED, (BANK, PARENT), "given up at the bank, or here once the bank was asked"),
    Way(_AT_BANK, S.EXPIRED, (BANK,), "asked after its time, the bank knows of no result"),
    Way(_AT_BANK, S.EXPIRED, (CLOCK,), "its bank cannot be asked, and said nothing until long after its page closed"),
    Way(_AT_BANK + _ENDED_UNPAID, S.CONFIRMED, (BANK,), "the bank took the money, however late it says so"),
    Way(_AT_BANK + _ENDED_UNPAID, S.CONFIRMED, (KEEPER,), "long after its page closed, seen at the bank: paid"),
    Way(_AT_BANK, S.REFUSED, (KEEPER,), "long after its page closed, seen at the bank: nothing was taken"),
    Way(_AT_BANK + _ENDED_UNPAID, S.REVIEW, (BANK,), "an unknown result; or amount, account, mode… differs"),
    Way((S.REVIEW,), S.CONFIRMED, (KEEPER,), "checked: the money is there, and counts for what the bank took"),
    Way((S.REVIEW,), S.REFUNDED, (KEEPER,), "checked: it was given back, or is none of ours"),
    Way((S.REVIEW,), S.REFUSED, (KEEPER,), "checked: the bank's unknown result means that nothing was taken"),
    Way((S.CONFIRMED, S.PARTIALLY_REFUNDED), S.PARTIALLY_REFUNDED, (BANK, KEEPER), "a part was given back"),
    Way((S.CONFIRMED, S.PARTIALLY_REFUNDED), S.REFUNDED, (BANK, KEEPER), "all of it was given back"),
    Way((S.REFUNDED,), S.PARTIALLY_REFUNDED, (KEEPER,), "one of its refunds failed, that money counts again"),
    Way((S.REFUNDED, S.PARTIALLY_REFUNDED), S.CONFIRMED, (KEEPER,), "its refunds failed, all the money counts again"),
    Way((S.CONFIRMED, S.PARTIALLY_REFUNDED), S.DISPUTED, (BANK, KEEPER), "the payer's bank contests it"),
    Way((S.DISPUTED,), S.CONFIRMED, (BANK, KEEPER), "the dispute is won, nothing had been given back"),
    Way((S.DISPUTED,), S.PARTIALLY_REFUNDED, (BANK, KEEPER), "won, after a refund of a part; or lost for a part"),
    Way((S.DISPUTED,), S.CHARGED_BACK, (BANK, KEEPER), "the dispute is lost: the bank took the money back"),
    Way((S.CONFIRMED, S.PARTIALLY_REFUNDED), S.REVERSED, (KEEPER,), "the direct debit was sent back"),
)
"""Every move there is. No later word of the bank's about the result leaves ``confirmed``: it is journalled only."""


def may_move(origin: S, to: S, said_by: Actor) -> bool:
    """Whether this speaker may make this move."""
    return any(origin in way.origins and way.to is to and said_by in way.said_by for way in WAYS)


def drawing() -> str:
    """The table and its picture, in Markdown, for ``docs/payments.md``."""
    lines = ["| from | to | who says so | when |", "|---|---|---|---|"]
    for way in WAYS:
        origins, speakers = ", ".join(way.origins), ", ".join(each.replace("_", " ") for each in way.said_by)
        lines.append(f"| {origins} | **{way.to}** | {speakers} | {way.when} |")
    lines += ["", "```mermaid", "stateDiagram-v2", "    [*] --> created"]
    lines += [f"    {origin} --> {way.to}" for way in WAYS for origin in way.origins]
    return "\n".join([*lines, "```"]) + "\n"
