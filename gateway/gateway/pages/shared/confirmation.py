"""What cannot be undone is asked first, with the number of what it touches.

A handler puts its question once it has read its form. The page that asks carries the form as it was sent, and a proof
of what was shown: the fields and the numbers. When a number has changed by the time the person says yes, the page asks
again, with the new one.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from contracts.identity import Identity
from gateway.forms.fields import SubmittedForm
from gateway.pages.shared.rendering import cookie_name, render
from gateway.settings import SETTINGS

PROOF = "confirmed"
NOT_CONFIRMED = {"form_token", "key", PROOF}
"""What is another on each page: no part of what is confirmed."""


@dataclass(frozen=True)
class Question:
    """What the person is asked: what it does, in sentences with numbers, the word of the button, and the way back.

    ``numbers`` are those of the sentences: what is confirmed is confirmed for them alone.
    """

    title: str
    says: Sequence[str]
    button: str
    back: str
    numbers: Mapping[str, int] = field(default_factory=dict)


def ask_first(request: web.Request, form: SubmittedForm, person: Identity, question: Question) -> web.Response | None:
    """The page that asks, or None once the person has said yes to this very question."""
    fields = [(name, value) for name in dict.fromkeys(form) if name not in NOT_CONFIRMED for value in form.getall(name)]
    proof, given = _proof(request, fields, question), form.get(PROOF)
    if given and hmac.compare_digest(given.encode(), proof.encode()):
        return None
    return render(
        request,
        "town_hall/confirm.html",
        person,
        status=409 if given else 200,
        question=question,
        fields=fields,
        proof=proof,
        action=request.path_qs,
        has_changed=bool(given),
    )


def _proof(request: web.Request, fields: Sequence[tuple[str, str]], question: Question) -> str:
    shown = [request.cookies.get(cookie_name(request.app[SETTINGS]), ""), request.path_qs, fields]
    text = json.dumps([*shown, question.title, sorted(question.numbers.items())])
    secret = request.app[SETTINGS].csrf_secret.get_secret_value().encode()
    return hmac.new(secret, f"confirmed {text}".encode(), hashlib.sha256).hexdigest()
