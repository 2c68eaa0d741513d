"""Write deploy/observability/dashboards/*.json for Grafana: one of the town, one of operations."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COLUMNS, HEIGHT = 24, 8
OF_TOWN = 'namespace=~"$town"'
"""A town is a namespace; outside Kubernetes there is none, and « all » is that."""
MONEY, SECONDS, BYTES, NUMBER, A_SECOND = "currencyEUR", "s", "bytes", "short", "ops"


@dataclass(frozen=True)
class Panel:
    """A title, and lines: PromQL with ``{…}`` wherever the town is said, and the line's name."""

    title: str
    unit: str
    lines: Sequence[tuple[str, str]]
    kind: str = "timeseries"
    width: int = 12
    says: str = ""


TOWN = (
    Panel("Collected today", MONEY, [("max(preau_collected_today_cents{…}) / 100", "")], "stat", 6),
    Panel("Owed by all households", MONEY, [("max(preau_owed_cents{…}) / 100", "")], "stat", 6),
    Panel("Places booked for today", NUMBER, [("max(preau_booked_today{…})", "")], "stat", 6),
    Panel("Payments to be decided", NUMBER, [("max(preau_payments_in_review{…})", "")], "stat", 6),
    Panel(
        "Payments in an hour, by what came of them",
        NUMBER,
        [('sum by (type) (increase(preau_events_published_total{…,type=~"payment\\\\..+"}[1h]))', "{{type}}")],
    ),
    Panel(
        "Oldest payment without a result",
        SECONDS,
        [("max(preau_payment_unconfirmed_oldest_seconds{…})", "waits for its bank")],
        says="Above four hours it is an alert. Direct debits wait for days.",
    ),
    Panel(
        "Bookings in an hour",
        NUMBER,
        [
            ('sum(increase(preau_events_published_total{…,type="planning.bookings.changed"}[1h]))', "changes saved"),
            ('sum(increase(preau_events_published_total{…,type="planning.place.granted"}[1h]))', "places granted"),
        ],
    ),
    Panel(
        "Invoices in an hour",
        NUMBER,
        [
            ('sum(increase(preau_events_published_total{…,type="billing.invoice.published"}[1h]))', "published"),
            ('sum(increase(preau_events_published_total{…,type="billing.invoice.settled"}[1h]))', "settled"),
        ],
    ),
    Panel(
        "Mails in an hour, by kind",
        NUMBER,
        [('sum by (kind) (increase(preau_mails_total{…,outcome="sent"}[1h]))', "{{kind}}")],
    ),
    Panel(
        "Mails that did not go",
        NUMBER,
        [
            ('sum(increase(preau_mails_total{…,outcome="later"}[1h]))', "to be tried again, in an hour"),
            ("max(preau_mails_failed{…})", "given up, in a day"),
        ],
    ),
    Panel(
        "Sign-ins in an hour",
        NUMBER,
        [
            ('sum(increase(preau_request_seconds_count{…,route="/sessions",method="POST",status="201"}[1h]))', "done"),
            ('sum(increase(preau_request_seconds_count{…,route="/sessions",method="POST",status=~"4.."}[1h]))', "not"),
        ],
    ),
    Panel(
        "Oldest mail that nobody has taken", SECONDS, [("max(preau_mail_waiting_oldest_seconds{…})", "waits")], width=12
    ),
)
OPERATIONS = (
    Panel("Programs that answer", NUMBER, [('sum(up{…,job="preau"})', "")], "stat", 6),
    Panel("Messages put aside", NUMBER, [("sum(max by (queue) (preau_dead_letter_messages{…}))", "")], "stat", 6),
    Panel("Ledger out of balance, cents", NUMBER, [("max(preau_ledger_imbalance_cents{…})", "")], "stat", 6),
    Panel("Oldest event that has not left", SECONDS, [("max(preau_outbox_oldest_seconds{…})", "")], "stat", 6),
    Panel(
        "Answers a second, by program",
        A_SECOND,
        [("sum by (instance) (rate(preau_request_seconds_count{…}[$__rate_interval]))", "{{instance}}")],
    ),
    Panel(
        "Errors a second, by route",
        A_SECOND,
        [
            (
                'sum by (instance, route, status) (rate(preau_request_seconds_count{…,status=~"5.."}'
                "[$__rate_interval]))",
                "{{instance}} {{route}} {{status}}",
            )
        ],
    ),
    Panel(
        "How long an answer takes: half, and all but one in a hundred",
        SECONDS,
        [
            (
                f"histogram_quantile({part}, sum by (instance, le) (rate(preau_request_seconds_bucket{{…}}"
                "[$__rate_interval])))",
                f"{{{{instance}}}} p{part * 100:.0f}",
            )
            for part in (0.5, 0.99)
        ],
    ),
    Panel(
        "The ten slowest routes, mean",
        SECONDS,
        [
            (
                "topk(10, sum by (instance, route) (rate(preau_request_seconds_sum{…}[$__rate_interval])) / "
                "sum by (instance, route) (rate(preau_request_seconds_count{…}[$__rate_interval])))",
                "{{instance}} {{route}}",
            )
        ],
    ),
    Panel("Oldest event in the outbox", SECONDS, [("preau_outbox_oldest_seconds{…}", "{{instance}}")]),
    Panel("Messages that wait, by queue", NUMBER, [("max by (queue) (preau_queue_messages{…})", "{{queue}}")]),
    Panel(
        "Events published per second",
        A_SECOND,
        [("sum by (type) (rate(preau_events_published_total{…}[$__rate_interval]))", "{{type}}")],
    ),
    Panel(
        "Events consumed per second, by outcome",
        A_SECOND,
        [("sum by (queue, outcome) (rate(preau_events_consumed_total{…}[$__rate_interval]))", "{{queue}} {{outcome}}")],
    ),
    Panel(
        "Connections to the databases",
        NUMBER,
        [("sum by (instance, state) (preau_database_connections{…})", "{{instance}} {{state}}")],
        says="Where none is free and none idle, requests wait for one, ten seconds at most.",
    ),
    Panel(
        "Jobs that failed in a quarter of an hour",
        NUMBER,
        [("sum by (exported_job) (increase(preau_job_failures_total{…}[15m]))", "{{exported_job}}")],
    ),
    Panel("Memory", BYTES, [('process_resident_memory_bytes{…,job="preau"}', "{{instance}}")]),
    Panel(
        "Processors used",
        NUMBER,
        [('rate(process_cpu_seconds_total{…,job="preau"}[$__rate_interval])', "{{instance}}")],
    ),
)
DASHBOARDS = {"town": ("Préau: the town", TOWN), "operations": ("Préau: operations", OPERATIONS)}


def dashboard(name: str) -> dict[str, Any]:
    """A dashboard as Grafana imports it; it asks for the Prometheus that it reads."""
    title, panels = DASHBOARDS[name]
    return {
        "uid": f"preau-{name}",
        "title": title,
        "tags": ["preau"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "1m",
        "time": {"from": "now-24h" if name == "town" else "now-3h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_datasource(), _town()]},
        "panels": list(_placed(panels)),
    }


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _town() -> dict[str, Any]:
    return {
        "name": "town",
        "label": "Town",
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "query": "label_values(preau_outbox_oldest_seconds, namespace)",
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _placed(panels: Sequence[Panel]) -> Iterator[dict[str, Any]]:
    """From left to right, and on below."""
    x = y = 0
    for number, panel in enumerate(panels, 1):
        height = HEIGHT // 2 if panel.kind == "stat" else HEIGHT
        yield {
            "id": number,
            "type": panel.kind,
            "title": panel.title,
            "description": panel.says,
            "datasource": {"type": "prometheus", "uid": "${datasource}"},
            "gridPos": {"x": x, "y": y, "w": panel.width, "h": height},
            "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
            "targets": [
                {"refId": chr(ord("A") + place), "expr": expression.replace("…", OF_TOWN), "legendFormat": legend}
                for place, (expression, legend) in enumerate(panel.lines)
            ],
        }
        x += panel.width
        if x >= COLUMNS:
            x, y = 0, y + height


def written(name: str) -> str:
    """The file."""
    return json.dumps(dashboard(name), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for each in DASHBOARDS:
        (folder / f"{each}.json").write_text(written(each), encoding="utf-8")
