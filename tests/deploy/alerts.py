"""Write deploy/observability/alerts.yaml: a Prometheus rule for each vital, and for what a vital cannot say."""

import importlib
import sys
from pathlib import Path
from typing import Any

import yaml

from chassis.vitals import OUTBOX, PARKED, Vital

WARNING = frozenset(
    {"signing_key_age_seconds", "bank_notices_refused", "bank_notices_from_elsewhere", "mails_failed"}
    | {"parked_messages", "payments_in_review", "invoice_run_silent_seconds", "checkouts_overdue", "jobs_failing"}
)
"""What can wait for the next working day; all others are ``critical``: parents or money stand still."""
SERVICES = ("auth", "planning", "billing", "payment-gateway", "notifier")


def vitals_of(service: str) -> tuple[Vital, ...]:
    """The vitals that a service adds."""
    found: tuple[Vital, ...] = importlib.import_module(f"{service.replace('-', '_')}.store.vitals").VITALS
    return found


def rules() -> str:
    """The rules, as YAML."""
    vitals = (OUTBOX, PARKED, *(vital for service in SERVICES for vital in vitals_of(service)))
    watched = [
        _rule(vital.name, f"preau_{vital.name} > {vital.most:g}", vital.minutes, vital.remedy) for vital in vitals
    ]
    watched += [
        _rule("program_down", 'up{job="preau"} == 0', 2, "Its container or its port is gone: read its log, start it."),
        _rule(
            "vitals_missing",
            "absent(preau_outbox_oldest_seconds) or absent(preau_ledger_imbalance_cents)",
            5,
            "A database does not answer, or Prometheus does not read every program: run `doctor`.",
        ),
        _rule(
            "answers_failing",
            'sum(rate(preau_request_seconds_count{status=~"5.."}[5m])) by (job) > 0.2',
            5,
            "Parents see errors: run `doctor`, then read the logs with one request's id.",
        ),
        _rule(
            "jobs_failing",
            "increase(preau_job_failures_total[15m]) > 5",
            0,
            "A job fails again and again: its name is in the label `exported_job`, its error in the log.",
        ),
    ]
    return yaml.safe_dump(
        {"groups": [{"name": "preau", "rules": watched}]}, sort_keys=False, width=110, allow_unicode=True
    )


def _rule(name: str, expression: str, minutes: int, remedy: str) -> dict[str, Any]:
    alert = "".join(word.capitalize() for word in name.split("_"))
    told = {"remedy": remedy, "runbook": f"docs/runbook.md#preau{alert.lower()}"}
    labels = {"severity": "warning" if name in WARNING else "critical"}
    return {"alert": f"Preau{alert}", "expr": expression, "for": f"{minutes}m", "labels": labels, "annotations": told}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(rules(), encoding="utf-8")
