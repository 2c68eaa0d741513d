"""The switches: how the bank misbehaves from now on."""

from dataclasses import dataclass, fields
from typing import Any

NOTICES = ("once", "never", "late", "twice", "ten_times", "early")
DIFFERENCES = ("nothing", "account", "mode", "reference", "currency")
CHOICES = {"notice": NOTICES, "differs": DIFFERENCES}
LABELS = {
    "notice": "Notification",
    "late_seconds": "Retard, si tardive (s)",
    "amount_offset_cents": "Écart de montant (cents)",
    "differs": "Dit un autre…",
    "forged": "Signature fausse (sauf PayFiP)",
    "stale_seconds": "Signature vieille de (s) (Stripe)",
    "service_down": "Service indisponible",
    "answer_in_pieces": "Réponse en morceaux (PayFiP, Stripe)",
    "answer_delay_seconds": "Résultat connu après (s)",
    "slow_seconds": "Service lent (s)",
    "result_code": "Résultat dit ainsi (lettre, statut ou code ; vide : le vrai)",
    "without": "Notification sans le champ… (Lyra, Paybox)",
    "rest_refused": "Mot de passe REST refusé (Lyra)",
}


@dataclass
class Faults:
    """``early`` notifies before the result can be asked for; times are in seconds."""

    notice: str = "once"
    late_seconds: float = 20.0
    amount_offset_cents: int = 0
    differs: str = "nothing"
    forged: bool = False
    stale_seconds: float = 0.0
    service_down: bool = False
    answer_in_pieces: bool = False
    answer_delay_seconds: float = 0.0
    slow_seconds: float = 0.0
    result_code: str = ""
    without: str = ""
    rest_refused: bool = False

    def change(self, wanted: dict[str, Any]) -> None:
        """Set some switches; ``ValueError`` names the first that is wrong, and nothing changes."""
        kinds = {each.name: type(getattr(self, each.name)) for each in fields(self)}
        for name, value in wanted.items():
            kind = kinds.get(name)
            fits = type(value) is kind or (kind is float and type(value) is int)
            if not fits:
                raise ValueError(f"{name}: no such switch, or not a value for it")
            if name in CHOICES and value not in CHOICES[name]:
                raise ValueError(f"{name}: one of {', '.join(CHOICES[name])}")
        for name, value in wanted.items():
            setattr(self, name, kinds[name](value))

    def change_by_form(self, form: dict[str, str]) -> None:
        """Set every switch as a page's form says it; a box that is not ticked is off."""
        kinds = {each.name: type(getattr(self, each.name)) for each in fields(self)}
        said = {name: form.get(name, "") for name in kinds}
        self.change({name: name in form if kinds[name] is bool else kinds[name](text) for name, text in said.items()})
