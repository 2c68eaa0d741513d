"""The Helm chart, rendered by Helm: what Kubernetes takes, what the settings' classes want, what runs before what."""

import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import helm_python
import kubernetes_validate
import pytest
import yaml

from chassis.transport import checked_broker_url, checked_database_url
from deploy.helm import draw_secrets
from gateway.clients.services import UNUSED_SECONDS
from gateway.pages.town_hall.families import FILE_BYTES_MAX
from tests.support.chart import (
    CHART,
    PROGRAMS,
    RELEASE,
    ROOT,
    SERVICES,
    TOWN,
    WITH_SERVERS,
    container,
    environment,
    laid_over,
    of_kind,
    pod,
    read,
    rendered,
    secret_files,
)
from tools import chart_settings

OF_OPERATORS = {"Cluster", "Database", "RabbitmqCluster", "ServiceMonitor", "PrometheusRule"}
OF_OPERATORS |= {"ObjectStore", "ScheduledBackup", "HTTPRoute"}
DATABASE_URLS = (("-owner", "migration_database_url"), ("", "database_url"))
BOTH = pytest.mark.parametrize("values", [TOWN, WITH_SERVERS], ids=["own servers", "servers of the cluster"])


@BOTH
@pytest.mark.parametrize("version", ["1.30", kubernetes_validate.latest_version()])
def test_kubernetes_takes_every_manifest(values: dict[str, Any], version: str) -> None:
    manifests = rendered(values)
    unknown = set()
    for each in manifests:
        try:
            kubernetes_validate.validate(each, version, strict=True)
        except kubernetes_validate.SchemaNotFoundError:
            unknown.add(each["kind"])
    assert unknown == (OF_OPERATORS if values is WITH_SERVERS else {"HTTPRoute"})
    named = [(each["kind"], each["metadata"]["name"]) for each in manifests]
    assert len(named) == len(set(named))


@BOTH
def test_helm_finds_nothing_to_say(values: dict[str, Any]) -> None:
    for_now = laid_over(values, {"programs": not values.get("postgresql", {}).get("enabled", False)})
    said = helm_python.lint(CHART, for_now, strict=True)
    assert said["errors"] == []
    assert [each["error"] for each in said["messages"]] == ["icon is recommended"]


def test_the_schema_of_the_values_is_not_stale() -> None:
    text = (CHART / "values.schema.json").read_text(encoding="utf-8")
    assert text == chart_settings.written(text), "run `make configuration`"


def test_every_value_is_known_to_the_schema_and_each_of_its_parts_says_what_it_is() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = read("deploy/helm/preau/values.yaml")
    assert values.keys() == schema["properties"].keys() - {"global"}  # which Helm gives to charts of charts
    assert [name for name in values if "description" not in schema["properties"][name]] == []


def test_two_towns_live_in_one_cluster_and_touch_each_other_nowhere() -> None:
    ours, theirs = (
        {(each["kind"], each["metadata"]["name"]) for each in rendered(WITH_SERVERS, release=release)}
        for release in (RELEASE, "saint-ouen")
    )
    assert not ours & theirs
    assert all("namespace" not in each["metadata"] for each in rendered(WITH_SERVERS))
    of_the_cluster = {"Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "PersistentVolume"}
    assert not {kind for kind, _ in ours} & of_the_cluster


@BOTH
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_starts_with_what_its_pod_is_given(
    values: dict[str, Any], program: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = of_kind(rendered(values), "Deployment")[program]
    given = {"amqp_url": "amqp://a:b@c/d", "database_url": "postgresql://a:b@c/d"}
    for name in os.environ:
        monkeypatch.delenv(name)
    for name, value in environment(one).items():
        monkeypatch.setenv(name, value)
    for name, is_needed in secret_files(one).items():
        if is_needed:
            monkeypatch.setenv(name.upper(), given.get(name, "s" * 32))
    if "TOWN_CREST" in environment(one):
        (tmp_path / "crest.svg").write_text("<svg/>", encoding="utf-8")
        mounts = {each["mountPath"] for each in container(one)["volumeMounts"]}
        assert str(Path(environment(one)["TOWN_CREST"]).parent) in mounts
        monkeypatch.setenv("TOWN_CREST", str(tmp_path / "crest.svg"))
    settings = chart_settings.settings_of(program)()
    assert settings.auth_url == f"http://{RELEASE}-auth:8080"
    assert settings.http_host == "0.0.0.0"  # noqa: S104 - the pod's own address, behind its network policy


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_secret_setting_is_a_file_of_the_programs_secret_and_nothing_else_is(program: str) -> None:
    files = secret_files(of_kind(rendered(TOWN), "Deployment")[program])
    fields = chart_settings.settings_of(program).model_fields
    assert files == {name: each.is_required() for name, each in fields.items() if chart_settings.is_secret(each)}


def of_production() -> dict[str, Any]:
    """The compose file of a town, without compose's own tag."""
    text = (ROOT / "deploy/compose/production.yml").read_text(encoding="utf-8").replace("!override ", "")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


@pytest.mark.parametrize("program", PROGRAMS)
def test_compose_and_chart_give_a_program_the_same_settings(program: str) -> None:
    composed = read("docker-compose.yml")["services"][program]["environment"]
    production = of_production()["services"][program]["environment"]
    composed |= production
    by_the_image, for_replicas, of_demo = {"HTTP_HOST", "HTTP_PORT"}, {"DRAIN_SECONDS"}, {"DEMO_ACCOUNTS"}
    traced = laid_over(TOWN, {"settings": {"every": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}}})
    given = environment(of_kind(rendered(traced), "Deployment")[program]).keys()
    needed = {name for name, value in production.items() if ":?" in str(value)}
    assert needed <= given
    known = {name.upper() for name in chart_settings.for_the_town(program)}
    assert given <= (composed.keys() - of_demo) | by_the_image | for_replicas | known


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"settings": {"planning": {"SCHOOL_ZONE": "D"}}}, "SCHOOL_ZONE"),
        ({"settings": {"billing": {"TOWN_SIRET": "1"}}}, "TOWN_SIRET"),
        ({"settings": {"gateway": {"TOWN_COLOR": "#000000"}}}, "TOWN_COLOR"),
        ({"settings": {"notifier": {"SMTP_PASSWORD": "written down"}}}, "SMTP_PASSWORD"),
        ({"settings": {"auth": {"AUTH_URL": "http://elsewhere"}}}, "AUTH_URL"),
        ({"host": "https://familles.example"}, "host"),
        ({"replicas": {"auth": {"min": 0}}}, "min"),
        ({"rabbitmq": {"replicas": 2}}, "rabbitmq"),
        ({"crest": {"configMap": "crest"}}, "key"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(helm_python.HelmValuesError, match=named):
        rendered(laid_over(TOWN, wrong))


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_setting_that_a_program_needs_is_asked_for(program: str) -> None:
    for name, field in chart_settings.for_the_town(program).items():
        if field.is_required():
            values = json.loads(json.dumps(TOWN))
            for given in values["settings"].values():
                given.pop(name.upper(), None)
            with pytest.raises(helm_python.HelmValuesError, match=name.upper()):
                rendered(values)


def test_a_large_number_and_a_list_arrive_as_the_program_reads_them() -> None:
    given = {"BODY_BYTES_MAX": 16_777_216, "RETRY_DELAYS_SECONDS": [10, 60.5]}
    one = of_kind(rendered(laid_over(TOWN, {"settings": {"auth": given}})), "Deployment")["auth"]
    assert environment(one)["BODY_BYTES_MAX"] == "16777216"
    assert json.loads(environment(one)["RETRY_DELAYS_SECONDS"]) == [10, 60.5]


@BOTH
def test_every_set_up_is_done_before_any_program_of_the_version_runs(values: dict[str, Any]) -> None:
    manifests = rendered(values)
    jobs, deployments = of_kind(manifests, "Job"), of_kind(manifests, "Deployment")
    assert jobs.keys() == {f"set-up-{service}" for service in SERVICES}
    for service in SERVICES:
        job, serves = jobs[f"set-up-{service}"], deployments[service]
        assert container(job)["args"] == ["migrate"]
        assert container(job)["image"] == container(serves)["image"]
        assert environment(job) == environment(serves)
        assert secret_files(job) == secret_files(serves)
    hooks = {each["metadata"]["name"]: each["metadata"].get("annotations", {}) for each in manifests}
    hooks = {name: each for name, each in hooks.items() if "helm.sh/hook" in each}
    assert {each["helm.sh/hook"] for each in hooks.values()} == {"pre-install,pre-upgrade"}
    weights = {name.removeprefix(f"{RELEASE}-"): int(each["helm.sh/hook-weight"]) for name, each in hooks.items()}
    assert weights == {"set-up": -10} | dict.fromkeys(jobs, 0)


def test_only_a_set_up_sees_the_account_that_may_declare() -> None:
    manifests = rendered(TOWN)
    holders = [
        name
        for kind in ("Deployment", "Job")
        for name, each in of_kind(manifests, kind).items()
        if TOWN.get("secrets", {}).get("set-up", "preau-set-up") in json.dumps(pod(each)["volumes"])
    ]
    assert sorted(holders) == sorted(f"set-up-{service}" for service in SERVICES)
    for service in SERVICES:
        owner = f"preau-{service}-owner"
        seen_by = [
            name
            for kind in ("Deployment", "Job")
            for name, each in of_kind(manifests, kind).items()
            if owner in json.dumps(pod(each)["volumes"])
        ]
        assert seen_by == [f"set-up-{service}"]


def test_servers_of_the_release_come_first_and_alone() -> None:
    with pytest.raises(helm_python.HelmRenderError, match="programs=false"):
        rendered(WITH_SERVERS, is_install=True)
    alone = {"programs": False, "prometheusRule": {"enabled": False}}
    first = rendered(laid_over(WITH_SERVERS, alone), is_install=True)
    kept = {"Cluster", "Database", "ObjectStore", "ScheduledBackup", "RabbitmqCluster"}
    assert {each["kind"] for each in first} == kept | {"NetworkPolicy", "PodDisruptionBudget"}
    for each in first:
        if each["kind"] in kept:
            assert each["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    broker = of_kind(first, "RabbitmqCluster")["rabbitmq"]["spec"]
    assert broker["replicas"] == 3
    assert "pause_minority" in broker["rabbitmq"]["additionalConfig"]
    database = of_kind(first, "Cluster")["postgresql"]["spec"]
    assert database["instances"] == 3
    roles = {each["name"]: each["passwordSecret"]["name"] for each in database["managed"]["roles"]}
    names = {service: f"preau_{service.replace('-', '_')}" for service in SERVICES}
    assert roles == {names[service]: f"preau-{service}-owner" for service in SERVICES} | {
        f"{names[service]}_app": f"preau-{service}" for service in SERVICES
    }
    owners = {each["spec"]["name"]: each["spec"]["owner"] for each in of_kind(first, "Database").values()}
    assert owners == {name: name for name in names.values()}
    *let_in, others = database["postgresql"]["pg_hba"]
    assert let_in == [f"hostssl {name} {name},{name}_app all scram-sha-256" for name in names.values()]
    assert others == "host all all all reject"


@BOTH
def test_every_pod_is_held_to_what_it_needs(values: dict[str, Any]) -> None:
    manifests = rendered(values)
    user = re.search(r"^USER (\d+):", (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert user
    for kind in ("Deployment", "Job"):
        for each in of_kind(manifests, kind).values():
            assert pod(each)["automountServiceAccountToken"] is False
            guards = pod(each)["securityContext"]
            assert (guards["runAsNonRoot"], guards["runAsUser"]) == (True, int(user[1]))
            assert guards["seccompProfile"] == {"type": "RuntimeDefault"}
            assert container(each)["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container(each)["resources"]["requests"].keys() == {"cpu", "memory"}
            assert "memory" in container(each)["resources"]["limits"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_is_replaced_without_a_gap_and_grows_with_its_work(program: str) -> None:
    manifests = rendered(TOWN)
    one = of_kind(manifests, "Deployment")[program]
    assert one["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    probes = {name: container(one)[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}
    assert probes == {"startup": "/health/ready", "readiness": "/health/live", "liveness": "/health/live"}
    shutdown = chart_settings.settings_of(program).model_fields["shutdown_seconds"].default
    drain = float(environment(one)["DRAIN_SECONDS"])
    assert drain > UNUSED_SECONDS
    assert pod(one)["terminationGracePeriodSeconds"] > drain + shutdown
    scaler = of_kind(manifests, "HorizontalPodAutoscaler")[program]["spec"]
    assert scaler["scaleTargetRef"]["name"] == one["metadata"]["name"]
    assert 2 <= scaler["minReplicas"] < scaler["maxReplicas"]
    assert "replicas" not in one["spec"]
    labels = one["spec"]["template"]["metadata"]["labels"]
    door = of_kind(manifests, "Service")[program]
    for selector in (
        one["spec"]["selector"]["matchLabels"],
        of_kind(manifests, "PodDisruptionBudget")[program]["spec"]["selector"]["matchLabels"],
        door["spec"]["selector"],
    ):
        assert selector.items() <= labels.items()
    ports = {each["name"]: str(each["containerPort"]) for each in container(one)["ports"]}
    assert ports == {"http": environment(one)["HTTP_PORT"], "metrics": environment(one)["METRICS_PORT"]}
    assert {each["name"]: str(each["port"]) for each in door["spec"]["ports"]} == ports


def test_a_fixed_number_of_pods_has_no_scaler() -> None:
    manifests = rendered(laid_over(TOWN, {"replicas": {"billing": {"min": 3, "max": 3}}}))
    assert of_kind(manifests, "Deployment")["billing"]["spec"]["replicas"] == 3
    assert "billing" not in of_kind(manifests, "HorizontalPodAutoscaler")


def test_the_portal_opens_by_tls_under_its_own_name_and_its_figures_are_the_alerts_job() -> None:
    manifests = rendered(WITH_SERVERS)
    door = of_kind(manifests, "HTTPRoute")["gateway"]["spec"]
    (rule,) = door["rules"]
    assert door["hostnames"] == [TOWN["host"]]
    assert door["parentRefs"] == TOWN["route"]["parentRefs"]
    assert rule["backendRefs"] == [{"name": f"{RELEASE}-gateway", "port": 8080}]
    assert of_kind(manifests, "Ingress") == {}
    assert environment(of_kind(manifests, "Deployment")["gateway"])["PUBLIC_URL"] == f"https://{TOWN['host']}"
    (monitor,) = of_kind(manifests, "ServiceMonitor").values()
    watched = [
        each
        for each in of_kind(manifests, "Service").values()
        if monitor["spec"]["selector"]["matchLabels"].items() <= each["metadata"]["labels"].items()
    ]
    assert len(watched) == len(PROGRAMS)
    (rules,) = of_kind(manifests, "PrometheusRule").values()
    assert rules["spec"] == read("deploy/observability/alerts.yaml")
    alerts = json.dumps(rules["spec"], ensure_ascii=False).replace('\\"', '"')
    (job,) = {each["metadata"]["labels"][monitor["spec"]["jobLabel"]] for each in watched}
    assert f'up{{job="{job}"}}' in alerts


def test_the_secrets_that_are_drawn_are_those_that_the_chart_wants(capsys: pytest.CaptureFixture[str]) -> None:
    draw_secrets.main([RELEASE])
    drawn = {each["metadata"]["name"]: each for each in json.loads(capsys.readouterr().out)["items"]}
    for each in drawn.values():
        kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)
    manifests = rendered(WITH_SERVERS)
    for program, one in of_kind(manifests, "Deployment").items():
        files = drawn[f"preau-{program}"]["stringData"]
        assert {name for name, is_needed in secret_files(one).items() if is_needed} <= files.keys()
    hosts = {"postgresql-rw", "rabbitmq"}
    servers = {f"{RELEASE}-{host}" for host in hosts}
    urls = [value for each in drawn.values() for name, value in each["stringData"].items() if name.endswith("_url")]
    assert {re.split(r"[@:/]+", url)[3] for url in urls} == servers
    for service in SERVICES:
        owner, program = (urlsplit(drawn[f"preau-{service}{end}"]["stringData"][key]) for end, key in DATABASE_URLS)
        assert (owner.path, f"{owner.username}_app") == (program.path, program.username)
        assert owner.password != program.password
    draw_secrets.main([RELEASE, "--only-roles"])
    only = {each["metadata"]["name"] for each in json.loads(capsys.readouterr().out)["items"]}
    assert only == {f"preau-{service}{end}" for service in SERVICES for end, _ in DATABASE_URLS}
    assert drawn["preau-auth"]["stringData"]["link_secret"] == drawn["preau-notifier"]["stringData"]["link_secret"]
    broker = of_kind(manifests, "RabbitmqCluster")["rabbitmq"]["spec"]["override"]["statefulSet"]["spec"]["template"]
    assert broker["spec"]["volumes"][0]["secret"]["secretName"] == "preau-rabbitmq"
    users = json.loads(drawn["preau-rabbitmq"]["stringData"]["definitions.json"])["users"]
    assert {each["name"] for each in users} == {*PROGRAMS, "preau"}


def test_an_ingress_takes_the_place_of_the_route_and_both_take_a_file_of_families() -> None:
    with_ingress = laid_over(TOWN, {"route": {"enabled": False}, "ingress": {"enabled": True, "className": "nginx"}})
    manifests = rendered(with_ingress)
    assert of_kind(manifests, "HTTPRoute") == {}
    door = of_kind(manifests, "Ingress")["gateway"]
    assert door["spec"]["tls"] == [{"hosts": [TOWN["host"]], "secretName": "preau-tls"}]
    assert door["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] == f"{RELEASE}-gateway"
    (limit,) = door["metadata"]["annotations"].values()
    policies = of_kind(rendered(laid_over(TOWN, {"route": {"clientSettingsPolicy": True}})), "ClientSettingsPolicy")
    (policy,) = policies.values()
    for told in (limit, policy["spec"]["body"]["maxSize"]):
        assert int(told.removesuffix("m")) * 1024 * 1024 > FILE_BYTES_MAX + 64 * 1024
    with pytest.raises(helm_python.HelmRenderError, match="one door"):
        rendered(laid_over(with_ingress, {"route": {"enabled": True}}))
    with pytest.raises(helm_python.HelmRenderError, match="parentRefs"):
        rendered(laid_over(TOWN, {"route": {"parentRefs": []}}))


def test_the_operators_database_is_saved_and_started_again_from_what_was_saved() -> None:
    manifests = rendered(WITH_SERVERS)
    store, schedule = (of_kind(manifests, kind)["postgresql"] for kind in ("ObjectStore", "ScheduledBackup"))
    told = WITH_SERVERS["postgresql"]["backup"]
    assert store["spec"]["configuration"]["destinationPath"] == told["destinationPath"]
    assert store["spec"]["retentionPolicy"] == "30d"
    assert len(schedule["spec"]["schedule"].split()) == 6
    cluster = of_kind(manifests, "Cluster")["postgresql"]
    assert schedule["spec"]["cluster"] == {"name": cluster["metadata"]["name"]}
    (archiver,) = cluster["spec"]["plugins"]
    assert archiver["isWALArchiver"] is True
    assert archiver["parameters"]["barmanObjectName"] == store["metadata"]["name"]
    assert "bootstrap" not in cluster["spec"]
    restoring = laid_over(WITH_SERVERS, read("deploy/helm/restore.example.yaml"))
    again = of_kind(rendered(restoring), "Cluster")["postgresql"]["spec"]
    (source,) = again["externalClusters"]
    assert again["bootstrap"]["recovery"]["source"] == source["name"] == archiver["parameters"]["serverName"]
    assert source["plugin"]["parameters"]["serverName"] != again["plugins"][0]["parameters"]["serverName"]
    over = laid_over(WITH_SERVERS, {"postgresql": {"restore": {"serverName": f"{RELEASE}-postgresql"}}})
    with pytest.raises(helm_python.HelmRenderError, match="never written over"):
        rendered(over)
    nowhere = laid_over(WITH_SERVERS, {"postgresql": {"backup": {"destinationPath": ""}}})
    with pytest.raises(helm_python.HelmValuesError, match="destinationPath"):
        rendered(nowhere)


def test_a_commit_waits_for_a_replica_and_servers_do_not_share_a_machine() -> None:
    manifests = rendered(WITH_SERVERS)
    cluster = of_kind(manifests, "Cluster")["postgresql"]["spec"]
    assert cluster["postgresql"]["synchronous"] == {"method": "any", "number": 1, "dataDurability": "required"}
    assert cluster["affinity"]["enablePodAntiAffinity"] is True
    with pytest.raises(helm_python.HelmRenderError, match="synchronous"):
        rendered(laid_over(WITH_SERVERS, {"postgresql": {"instances": 1}}))
    alone = of_kind(rendered(laid_over(WITH_SERVERS, {"postgresql": {"instances": 1, "synchronous": 0}})), "Cluster")
    assert "synchronous" not in alone["postgresql"]["spec"]["postgresql"]
    broker = of_kind(manifests, "RabbitmqCluster")["rabbitmq"]["spec"]
    (term,) = broker["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    pods = {"matchLabels": {"app.kubernetes.io/name": f"{RELEASE}-rabbitmq"}}
    assert term["podAffinityTerm"]["labelSelector"] == pods
    assert of_kind(manifests, "PodDisruptionBudget")["rabbitmq"]["spec"] == {"maxUnavailable": 1, "selector": pods}


def test_an_image_is_pinned_by_its_digest_wherever_it_runs() -> None:
    digest = f"sha256:{'0' * 64}"
    manifests = rendered(laid_over(TOWN, {"image": {"digests": {"billing": digest}}}))
    for kind, name in (("Deployment", "billing"), ("Job", "set-up-billing")):
        assert container(of_kind(manifests, kind)[name])["image"].endswith(f"@{digest}")
    with pytest.raises(helm_python.HelmValuesError, match="digests"):
        rendered(laid_over(TOWN, {"image": {"digests": {"billing": "latest"}}}))


def test_every_pod_that_asks_a_server_elsewhere_has_the_authority_by_which_it_knows_it() -> None:
    manifests = rendered(TOWN)
    for kind in ("Deployment", "Job"):
        for each in of_kind(manifests, kind).values():
            assert {"name": "servers", "mountPath": "/run/servers", "readOnly": True} in container(each)["volumeMounts"]
            (volume,) = (one["secret"] for one in pod(each)["volumes"] if one["name"] == "servers")
            assert volume["secretName"] == TOWN["serversCa"]["secret"]
    assert "/run/servers" not in json.dumps(rendered(WITH_SERVERS))


def test_helm_waits_for_longer_than_a_set_up_may_take() -> None:
    text = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    waiting = [each for each in re.findall(r"^helm .*$", text, re.MULTILINE) if "--wait" in each]
    assert len(waiting) >= 2
    seconds = read("deploy/helm/preau/values.yaml")["setUpSeconds"]
    for each in waiting:
        (minutes,) = re.findall(r"--timeout (\d+)m", each)
        assert int(minutes) * 60 > seconds


@pytest.mark.parametrize("own", [[], ["--postgresql", "db.example", "--rabbitmq", "broker.example", "--ca"]])
def test_addresses_that_are_drawn_are_taken_by_the_programs(own: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    draw_secrets.main([RELEASE, *own])
    drawn = {each["metadata"]["name"]: each["stringData"] for each in json.loads(capsys.readouterr().out)["items"]}
    for service in SERVICES:
        database, broker = drawn[f"preau-{service}"]["database_url"], drawn[f"preau-{service}"]["amqp_url"]
        assert checked_database_url(database) == database
        assert checked_broker_url(broker) == broker
        assert ("/run/servers/ca.crt" in database and "/run/servers/ca.crt" in broker) is bool(own)
