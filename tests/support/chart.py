"""The Helm chart as Helm itself renders it, and how its manifests are read: for the tests beside this file."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import yaml

from tools import chart_settings

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/helm/preau"
PROGRAMS = chart_settings.PROGRAMS
SERVICES = tuple(name for name in PROGRAMS if name != "gateway")
RELEASE = "saint-aubin"
Manifest = dict[str, Any]


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return found


def laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Values as Helm lays one file over another."""
    both = dict(below)
    for name, value in above.items():
        held = both.get(name)
        both[name] = laid_over(held, value) if isinstance(held, dict) and isinstance(value, dict) else value
    return both


TOWN = read("deploy/helm/town.example.yaml")
WITH_SERVERS = laid_over(TOWN, read("deploy/helm/servers.example.yaml"))


def rendered(values: dict[str, Any], *, release: str = RELEASE, is_install: bool = False) -> list[Manifest]:
    """What Helm would send to the cluster, its values checked before as `helm install` does."""
    texts = _texts(json.dumps(values), release, is_install)
    return [each for text in texts for each in yaml.safe_load_all(text) if each]


@cache
def _texts(written: str, release: str, is_install: bool) -> list[str]:
    values = json.loads(written)
    with helm_python.Chart.load(CHART) as chart:
        chart.validate_schema(values)
        texts = chart.render(values, name=release, namespace=release, is_install=is_install, is_upgrade=not is_install)
    return list(texts.values())


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    """Those of a kind, by name without the release's."""
    found = [each for each in manifests if each["kind"] == kind]
    return {each["metadata"]["name"].removeprefix(f"{RELEASE}-"): each for each in found}


def pod(manifest: Manifest) -> dict[str, Any]:
    spec: dict[str, Any] = manifest["spec"]["template"]["spec"]
    return spec


def container(manifest: Manifest) -> dict[str, Any]:
    (one,) = pod(manifest)["containers"]
    found: dict[str, Any] = one
    return found


def environment(manifest: Manifest) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container(manifest)["env"]}


def secret_files(manifest: Manifest, folder: str = "/run/secrets") -> dict[str, bool]:
    """The files in a folder of secrets, and whether the pod waits for each."""
    (name,) = (each["name"] for each in container(manifest)["volumeMounts"] if each["mountPath"] == folder)
    (volume,) = (each for each in pod(manifest)["volumes"] if each["name"] == name)
    sources = [each["secret"] for each in volume["projected"]["sources"]]
    return {item["path"]: not each.get("optional") for each in sources for item in each["items"]}
