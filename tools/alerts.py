"""Write deploy/observability/alerts.yaml: a Prometheus rule for each metric, and for what a metric cannot say."""

import importlib
import sys
from pathlib import Path
from typing import Any

import yaml

from chassis.health_metrics import DEAD_LETTERS, OUTBOX_AGE, HealthMetric

WARNING = frozenset(
    {"signing_key_age_seconds", "bank_notices_refused", "bank_notices_from_elsewhere", "mails_failed"}
    | {"dead_letter_messages", "payments_in_review", "invoice_run_silent_seconds", "checkouts_overdue", "jobs_failing"}
)
"""What can wait for the next working day; all others are ``critical``: parents or money stand still."""
SERVICES = ("auth", "planning", "billing", "payment-gateway", "notifier")


def health_metrics_of(service: str) -> tuple[HealthMetric, ...]:
    """The health metrics that a service adds."""
    found: tuple[HealthMetric, ...] = importlib.import_module(
        f"{service.replace('-', '_')}.store.health_metrics"
    ).HEALTH_METRICS
    return found


def rules() -> str:
    """The rules, as YAML."""
    health_metrics = (
        OUTBOX_AGE,
        DEAD_LETTERS,
        *(metric for service in SERVICES for metric in health_metrics_of(service)),
    )
    watched = [
        _rule(metric.name, f"preau_{metric.name} > {metric.threshold:g}", metric.for_minutes, metric.remedy)
        for metric in health_metrics
    ]
    watched += [
        _rule("program_down", 'up{job="preau"} == 0', 2, "Its container or its port is gone: read its log, start it."),
        _rule(
            "health_metrics_missing",
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
    annotations = {"remedy": remedy, "runbook": f"docs/runbook.md#preau{alert.lower()}"}
    labels = {"severity": "warning" if name in WARNING else "critical"}
    return {
        "alert": f"Preau{alert}",
        "expr": expression,
        "for": f"{minutes}m",
        "labels": labels,
        "annotations": annotations,
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(rules(), encoding="utf-8")
