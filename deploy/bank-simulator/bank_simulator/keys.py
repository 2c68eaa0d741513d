"""What the simulator's doors share: its book, its switches, whom it knows, its pages."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import jinja2
from aiohttp import web

from bank_simulator.book import PARIS, Book, Operation
from bank_simulator.faults import Faults
from bank_simulator.notices import Notices

SLOW_SECONDS = 8
CARDS = {
    "4970 1000 0000 0006": ("acceptée", "P", 0),
    "4970 1000 0000 0014": ("refusée", "R", 0),
    "4970 1000 0000 0022": ("acceptée, résultat après 8 secondes", "P", SLOW_SECONDS),
    "4970 1000 0000 0030": ("prélèvement bancaire accepté", "V", 0),
    "4970 1000 0000 0048": ("prélèvement bancaire refusé", "Z", 0),
}

pages = jinja2.Environment(loader=jinja2.PackageLoader("bank_simulator"), autoescape=True)
pages.filters["euros"] = lambda cents: f"{int(cents) // 100},{int(cents) % 100:02d} €"


@dataclass(frozen=True)
class Known:
    """Whom the banks have a contract with: shops of Lyra's form, contracts of Paybox, accounts of Stripe."""

    shops: dict[str, dict[str, str]] = field(default_factory=dict)
    contracts: list[dict[str, str]] = field(default_factory=list)
    accounts: list[dict[str, str]] = field(default_factory=list)


BOOK = web.AppKey("book", Book)
FAULTS = web.AppKey("faults", Faults)
NOTICE = web.AppKey("notices", Notices)
KNOWN = web.AppKey("known", Known)


def page(name: str, *, status: int = 200, **values: Any) -> web.Response:
    """A page of the bank's, which nobody keeps."""
    text = pages.get_template(name).render(**values)
    return web.Response(text=text, status=status, content_type="text/html", headers={"Cache-Control": "no-store"})


def finish(app: web.Application, operation: Operation, result: str, seconds: float) -> None:
    """Decide once: a second press of the button neither pays nor notifies again."""
    if operation.result is not None:
        return
    seconds += app[FAULTS].answer_delay_seconds
    app[BOOK].decide(operation, result, datetime.now(PARIS) + timedelta(seconds=seconds))
    app[NOTICE].after_result(operation)
