"""Each alert rule, run by Prometheus's own promtool: silent while all is well and while it waits, then heard."""

import importlib
import pkgutil
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from aiohttp.web import RouteDef

import gateway.pages
from local_stack.packages import promtool

FOLDER = Path(__file__).parents[2] / "deploy/observability"
RULES = yaml.safe_load((FOLDER / "alerts.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]
TOLD = {rule["alert"]: rule["annotations"] for rule in RULES}
SEVERITY = {rule["alert"]: rule["labels"]["severity"] for rule in RULES}
ROOT = FOLDER.parents[1]
PARAGRAPH = re.compile(r"^### (\w+)\n\n(.+?)(?=\n\n#|\Z)", re.MULTILINE | re.DOTALL)
WELL_MINUTES = 20
Series = dict[str, str]


@dataclass(frozen=True)
class Case:
    """Series by the minute, the last minute at which the alert is silent, and one at which it is heard."""

    series: Series
    silent: int
    heard: int
    labels: dict[str, str] = field(default_factory=dict)


def turns(name: str, well: float, ill: float, minutes: int, **labels: str) -> Case:
    """A figure that is at its limit for twenty minutes and then above, under a rule that waits ``minutes``."""
    told = ",".join(f'{label}="{value}"' for label, value in labels.items())
    values = f"{well}x{WELL_MINUTES} {ill}x{minutes + 5}"
    starts = WELL_MINUTES + 1
    return Case({f"preau_{name}{{{told}}}": values}, starts + minutes - 1, starts + minutes, labels)


CASES = {
    "PreauOutboxOldestSeconds": turns("outbox_oldest_seconds", 60, 61, 2, instance="auth:9090"),
    "PreauDeadLetterMessages": turns("dead_letter_messages", 0, 1, 5, queue="billing.settle-invoices"),
    "PreauSigningKeyAgeSeconds": turns("signing_key_age_seconds", 400 * 86_400, 400 * 86_400 + 60, 60),
    "PreauPlacesMiscounted": turns("places_miscounted", 0, 1, 0),
    "PreauLedgerImbalanceCents": turns("ledger_imbalance_cents", 0, 1, 0),
    "PreauLedgerWrongBalances": turns("ledger_wrong_balances", 0, 1, 0),
    "PreauLedgerCheckLateSeconds": turns("ledger_check_late_seconds", 7_200, 7_260, 10),
    "PreauCheckoutsOverdue": turns("checkouts_overdue", 0, 1, 60),
    "PreauInvoiceRunSilentSeconds": turns("invoice_run_silent_seconds", 86_400, 86_460, 10),
    "PreauPaymentUnconfirmedOldestSeconds": turns("payment_unconfirmed_oldest_seconds", 4 * 3600, 4 * 3600 + 60, 15),
    "PreauBankNoticesRefused": turns("bank_notices_refused", 100, 101, 0),
    "PreauBankNoticesFromElsewhere": turns("bank_notices_from_elsewhere", 0, 1, 5),
    "PreauBankNoticesSignedWithoutEffect": turns("bank_notices_signed_without_effect", 0, 1, 0),
    "PreauPaymentsWithAnUnknownResult": turns("payments_with_an_unknown_result", 0, 1, 0),
    "PreauPaymentsInReview": turns("payments_in_review", 0, 1, 24 * 60),
    "PreauMailWaitingOldestSeconds": turns("mail_waiting_oldest_seconds", 3600, 3660, 15),
    "PreauMailsFailed": turns("mails_failed", 20, 21, 60),
    "PreauProgramDown": Case(
        {'up{job="preau",instance="auth:9090"}': "1x20 0x10", 'up{job="another",instance="x"}': "0x30"},
        silent=22,
        heard=23,
        labels={"job": "preau", "instance": "auth:9090"},
    ),
    # The ledger's figure alone stops coming, and what is not measured must not look well. Prometheus believes a figure
    # for five minutes.
    "PreauHealthMetricsMissing": Case(
        {"preau_outbox_oldest_seconds": "0x40", "preau_ledger_imbalance_cents": "0x20 _x20"}, silent=29, heard=32
    ),
    # Ten errors a minute are fewer than 0.2 a second, twenty are more; other answers do not count.
    "PreauAnswersFailing": Case(
        {
            'preau_request_seconds_count{job="preau",status="503"}': "0+10x20 220+20x20",
            'preau_request_seconds_count{job="preau",status="200"}': "0+900x40",
        },
        silent=25,
        heard=32,
        labels={"job": "preau"},
    ),
    # Prometheus has a label `job` of its own: the one that fails is named in `exported_job`.
    "PreauJobsFailing": Case(
        {
            'preau_job_failures_total{job="preau",exported_job="tidy"}': "0x20 1+1x20",
            'preau_job_failures_total{job="preau",exported_job="seldom"}': "0x20 1x20",
        },
        silent=24,
        heard=28,
        labels={"job": "preau", "exported_job": "tidy"},
    ),
}


def test_every_alert_has_its_case() -> None:
    assert CASES.keys() == TOLD.keys()


def test_every_alert_says_whether_it_wakes_somebody() -> None:
    assert set(SEVERITY.values()) == {"critical", "warning"}
    assert {SEVERITY[alert] for alert in ("PreauProgramDown", "PreauLedgerImbalanceCents")} == {"critical"}
    assert SEVERITY["PreauSigningKeyAgeSeconds"] == "warning"


def test_every_alert_has_its_paragraph_in_the_runbook_and_leads_there() -> None:
    runbook = PARAGRAPH.findall((ROOT / "docs/runbook.md").read_text(encoding="utf-8"))
    written = {name: len(text.split()) for name, text in runbook}
    assert written.keys() == TOLD.keys(), "what one has and the other has not"
    assert [name for name, words in written.items() if words < 20] == [], "too short to help anybody at night"
    for alert, told in TOLD.items():
        assert told["runbook"] == f"docs/runbook.md#{alert.lower()}"


def test_what_an_alert_sends_somebody_to_is_there() -> None:
    found = pkgutil.walk_packages(gateway.pages.__path__, "gateway.pages.")
    pages = (importlib.import_module(each.name) for each in found)
    routes = {route.path for page in pages for route in getattr(page, "routes", ()) if isinstance(route, RouteDef)}
    told = " ".join(each["remedy"] for each in TOLD.values()) + (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    assert {path.rstrip("/") for path in re.findall(r"/mairie[a-z/-]*", told)} <= routes


@pytest.mark.parametrize("alert", TOLD)
def test_an_alert_is_heard_when_it_should_be_and_not_before(alert: str, tmp_path: Path) -> None:
    case = CASES[alert]
    labels = {**case.labels, "severity": SEVERITY[alert]}
    heard = [{"exp_labels": labels, "exp_annotations": TOLD[alert]}]
    asked = [(WELL_MINUTES, []), (case.silent, []), (case.heard, heard)]
    told = {
        "rule_files": [str(FOLDER / "alerts.yaml")],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
                "alert_rule_test": [
                    {"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": expected}
                    for minute, expected in asked
                ],
            }
        ],
    }
    (tmp_path / "told.yaml").write_text(yaml.safe_dump(told), encoding="utf-8")
    assert said(["test", "rules", str(tmp_path / "told.yaml")]).returncode == 0


def test_prometheus_takes_the_configuration_and_the_rules() -> None:
    answer = said(["check", "config", str(FOLDER / "prometheus.yml")])
    assert answer.returncode == 0
    assert f"{len(RULES)} rules found" in answer.stdout


def said(words: list[str]) -> subprocess.CompletedProcess[str]:
    """What promtool answers, shown when a test fails."""
    answer = subprocess.run([promtool(), *words], capture_output=True, text=True, timeout=60, check=False)
    print(answer.stdout, answer.stderr)  # noqa: T201
    return answer
