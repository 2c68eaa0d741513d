"""The chart's network policies, read back as arrows, are those of the programs' own settings and no other."""

import json
from typing import Any

import helm_python
import pytest
import yaml

from tests.support.chart import CHART, PROGRAMS, RELEASE, TOWN, WITH_SERVERS, laid_over, of_kind, rendered
from tools import chart_settings

SERVERS = ("postgresql", "rabbitmq")
OUTSIDE = {"smtp_host": "smtp", "bounce_imap_host": "imap", "payfip_service_url": "bank"}
"""Settings that say where something outside is, and the place of the values that it is."""
BOTH = pytest.mark.parametrize("values", [TOWN, WITH_SERVERS], ids=["own servers", "servers of the cluster"])
Arrow = tuple[str, str, str]


def wanted(values: dict[str, Any]) -> set[Arrow]:
    """Who must reach whom on what: each program what its settings name, and who comes from outside.

    A broker of the town's own is on another machine, and reached by TLS.
    """
    amqp = "5672" if values is WITH_SERVERS else "5671"
    arrows = {("ingress", "gateway", "http"), ("set-up", "postgresql", "5432"), ("set-up", "rabbitmq", amqp)}
    arrows |= {("prometheus", program, "metrics") for program in PROGRAMS}
    ports = {"smtp": "587", "imap": "993", "bank": "443"}
    for program in PROGRAMS:
        fields = chart_settings.settings_of(program).model_fields
        arrows |= {(program, OUTSIDE[name], ports[OUTSIDE[name]]) for name in fields if name in OUTSIDE}
        others = {name.removesuffix("_url").replace("_", "-") for name in fields if chart_settings.is_address(name)}
        arrows |= {(program, other, "http") for other in others - {program}}
        if "database_url" in fields:
            arrows.add((program, "postgresql", "5432"))
        arrows.add((program, "rabbitmq", amqp))
    asking = {start for start, *_ in arrows} - {"ingress", "prometheus"}
    return arrows | {(start, "dns", "53") for start in asking}


def policies(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = of_kind(rendered(values), "NetworkPolicy")
    return found


def place_of(values: dict[str, Any], peers: list[dict[str, Any]], ports: set[str]) -> str:
    """The program or the place that a rule's peers are."""
    for one in (*PROGRAMS, "set-up"):
        labels = {"app.kubernetes.io/instance": RELEASE, "app.kubernetes.io/component": one}
        if peers == [{"podSelector": {"matchLabels": labels}}]:
            return one
    for server, labels in servers_pods().items():
        if peers == [{"podSelector": {"matchLabels": labels}}]:
            return server
    defaults = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    places = laid_over(defaults, values)["network"]["places"]
    (name,) = (
        name
        for name, place in places.items()
        if place["peers"] == peers and {str(each["port"]) for each in place["ports"]} in ({*()}, ports)
    )
    found: str = name
    return found


def servers_pods() -> dict[str, dict[str, str]]:
    """How each operator labels the pods it makes for the release."""
    return {
        "postgresql": {"cnpg.io/cluster": f"{RELEASE}-postgresql"},
        "rabbitmq": {"app.kubernetes.io/name": f"{RELEASE}-rabbitmq"},
    }


def leaving(values: dict[str, Any]) -> set[Arrow]:
    """The arrows that the pods of the portal may begin."""
    arrows = set()
    for name, policy in policies(values).items():
        for rule in policy["spec"].get("egress", ()):
            ports = {str(each["port"]) for each in rule["ports"]}
            arrows |= {(name, place_of(values, rule["to"], ports), port) for port in ports}
    return arrows


def arriving(values: dict[str, Any]) -> set[Arrow]:
    """The arrows that may end at a pod of the portal, or at a server that the chart makes."""
    arrows = set()
    for name, policy in policies(values).items():
        for rule in policy["spec"].get("ingress", ()):
            if "ports" in rule:
                ports = {str(each["port"]) for each in rule["ports"]}
                arrows |= {(place_of(values, rule["from"], ports), name, port) for port in ports}
    return arrows


@BOTH
def test_what_leaves_a_pod_is_what_its_program_has_a_setting_for(values: dict[str, Any]) -> None:
    assert leaving(values) == {each for each in wanted(values) if each[0] in (*PROGRAMS, "set-up")}


def test_where_traces_go_is_open_to_who_sends_some_and_to_nobody_else() -> None:
    told = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.observability:4318"}
    everybody = leaving(laid_over(TOWN, {"settings": {"every": told}})) - leaving(TOWN)
    assert everybody == {(program, "collector", "4318") for program in PROGRAMS}
    one = leaving(laid_over(TOWN, {"settings": {"billing": told}})) - leaving(TOWN)
    assert one == {("billing", "collector", "4318")}


@BOTH
def test_what_comes_to_a_pod_is_what_leaves_another_or_comes_from_outside(values: dict[str, Any]) -> None:
    guarded = {*PROGRAMS} | ({*SERVERS} if values is WITH_SERVERS else set())
    assert arriving(values) == {each for each in wanted(values) if each[1] in guarded}


@BOTH
def test_every_pod_has_a_policy_that_shuts_both_ways(values: dict[str, Any]) -> None:
    manifests = rendered(values)
    found = policies(values)
    for kind in ("Deployment", "Job"):
        for each in of_kind(manifests, kind).values():
            labels = each["spec"]["template"]["metadata"]["labels"]
            (policy,) = (
                one["spec"]
                for one in found.values()
                if one["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
            )
            assert policy["policyTypes"] == ["Ingress", "Egress"]
    for policy in found.values():
        for rule in policy["spec"].get("ingress", []) + policy["spec"].get("egress", []):
            assert rule.get("from") or rule.get("to"), "no peer at all means everybody"
            assert {} not in (rule.get("from") or rule.get("to"))
    assert "ingress" not in found["set-up"]["spec"]


def test_a_server_of_the_release_opens_besides_to_its_own_pods_and_its_operator() -> None:
    found = policies(laid_over(WITH_SERVERS, {"programs": False}))
    assert found.keys() == {*SERVERS}
    for server, labels in servers_pods().items():
        assert found[server]["spec"]["podSelector"] == {"matchLabels": labels}
        (free,) = (rule["from"] for rule in found[server]["spec"]["ingress"] if "ports" not in rule)
        assert free[0] == {"podSelector": {"matchLabels": labels}}
        assert all(peer.keys() == {"namespaceSelector"} for peer in free[1:])
        assert "system" in json.dumps(free[1:])


@pytest.mark.parametrize(("place", "what"), [("postgresql", "peers"), ("ingress", "peers"), ("smtp", "ports")])
def test_a_place_that_nobody_named_is_refused_and_not_opened_to_all(place: str, what: str) -> None:
    nowhere = laid_over(TOWN, {"network": {"places": {place: {what: []}}}})
    with pytest.raises(helm_python.HelmRenderError, match=rf"network.places.{place}.{what}"):
        rendered(nowhere)


@pytest.mark.parametrize(("setting", "place"), [("SMTP_PORT", "smtp"), ("BOUNCE_IMAP_PORT", "imap")])
def test_a_mail_server_on_a_port_that_is_shut_is_told_of_before_anything_is_installed(setting: str, place: str) -> None:
    elsewhere = laid_over(TOWN, {"settings": {"notifier": {setting: 2525}}})
    with pytest.raises(helm_python.HelmRenderError, match=rf"network.places.{place}.ports.*2525"):
        rendered(elsewhere)
    opened = {"network": {"places": {place: {"ports": [{"port": 2525, "protocol": "TCP"}]}}}}
    assert rendered(laid_over(elsewhere, opened))
