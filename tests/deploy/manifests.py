"""What Kubernetes and Compose are told to run, as the tests read it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
EXAMPLE = (ROOT / "deploy" / "env.example").read_text()

Manifest = dict[str, Any]


def resources(kustomization: Path) -> list[Manifest]:
    """Every manifest that a kustomization lists in its own folder. Each is complete in its file."""
    listed = yaml.safe_load((kustomization / "kustomization.yaml").read_text())["resources"]
    files = [kustomization / name for name in listed if name.endswith(".yaml")]
    return [manifest for file in files for manifest in yaml.safe_load_all(file.read_text())]


BASE = resources(FOLDER / "base")
ALL = [*BASE, *resources(FOLDER / "gpu")]


def named(manifest: Manifest) -> str:
    """Such as `Deployment/web`."""
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def of_kind(*kinds: str, among: list[Manifest] = ALL) -> list[Manifest]:
    """The manifests of these kinds."""
    return [manifest for manifest in among if manifest["kind"] in kinds]


def template(manifest: Manifest) -> Manifest:
    """The pods of a Deployment or Job."""
    found: Manifest = manifest["spec"]["template"]
    return found


def containers(manifest: Manifest) -> Iterator[Manifest]:
    """Every container of a Deployment or Job, those that run first included."""
    spec = template(manifest)["spec"]
    yield from (*spec.get("initContainers", []), *spec["containers"])


WORKLOADS = of_kind("Deployment", "Job")
SCALED = of_kind("ScaledObject")
