"""The tariffs of the demo town: every formula that billing knows."""

from typing import Any

CANTEEN = "Cantine"


def _flat(cents: int) -> dict[str, Any]:
    return {"kind": "flat", "unit_price_cents": cents}


def _effort(rate_percent: str, floor_cents: int, ceiling_cents: int) -> dict[str, Any]:
    bounds = {"floor_cents": floor_cents, "ceiling_cents": ceiling_cents, "without_quotient_cents": ceiling_cents}
    return {"kind": "proportional", "rate_percent": rate_percent, **bounds}


BRACKETS = {
    "kind": "brackets",
    "brackets": [
        {"up_to_cents": 400_00, "unit_price_cents": 100},
        {"up_to_cents": 700_00, "unit_price_cents": 265},
        {"up_to_cents": 1_000_00, "unit_price_cents": 345},
        {"up_to_cents": None, "unit_price_cents": 420},
    ],
    "without_quotient_cents": 420,
}
WHO_CAME = {"free_absences": 1, "unjustified_percent": 50, "extra_cents": 200, "late_pickup_cents": 500}
TARIFFS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("Périscolaire matin", "Accueil du matin", {"formula": _flat(210), "childcare": True}),
    (CANTEEN, "Repas des habitants", {"formula": BRACKETS, "resident": True, "sibling_percents": [10, 20]}),
    (CANTEEN, "Repas hors commune", {"formula": _flat(560), "resident": False}),
    ("Périscolaire soir", "Accueil du soir", {"formula": _flat(260), "childcare": True, "attendance": WHO_CAME}),
    ("Mercredi", "Mercredi au taux d'effort", {"formula": _effort("1.1500", 250, 1_400), "childcare": True}),
    ("Petites Vac. Matin", "Demi-journée", {"formula": _effort("0.5800", 150, 700), "childcare": True}),
    ("Petites Vac. Après-midi", "Demi-journée", {"formula": _effort("0.5650", 150, 700), "childcare": True}),
)
