"""The Kubernetes manifests are valid, complete, hold no secret, and run what is run without Kubernetes."""

import re
import shlex
import ssl
import tomllib
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from django.core.management import get_commands
from redis import ConnectionPool, SSLConnection

from deploy.local.commands import COMMANDS
from tests.deploy.manifests import (
    ALL,
    BASE,
    FOLDER,
    ROOT,
    SCALED,
    WORKLOADS,
    Manifest,
    containers,
    named,
    of_kind,
    resources,
    template,
)

SETTINGS = (ROOT / "webapp" / "settings.py").read_text()
GUNICORN = {"GUNICORN_CMD_ARGS"}  # read by gunicorn itself
OF_THE_MANIFESTS = {"SITE_HOST", "POD_IP"}  # only to make ALLOWED_HOSTS of
VERSION = "1.37"
OWN_ENVIRONMENT = {env["name"] for m in WORKLOADS for container in containers(m) for env in container.get("env", [])}


def keys(env_file: Path) -> list[str]:
    lines = env_file.read_text().splitlines()
    return [line.partition("=")[0] for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("manifest", [m for m in ALL if m["kind"] != "ScaledObject"], ids=named)
def test_kubernetes_would_take_each_manifest(manifest: Manifest) -> None:
    kubernetes_validate.validate(manifest, VERSION, strict=True)


@pytest.mark.parametrize("manifest", SCALED, ids=named)
def test_keda_would_take_each_autoscaler(manifest: Manifest) -> None:
    """By the reference of KEDA 2 for a ScaledObject and its trigger `postgresql`."""
    assert manifest.keys() == {"apiVersion", "kind", "metadata", "spec"}
    assert manifest["apiVersion"] == "keda.sh/v1alpha1"
    spec = manifest["spec"]
    known = {"pollingInterval", "cooldownPeriod", "minReplicaCount", "maxReplicaCount", "advanced"}
    assert {"scaleTargetRef", "triggers"} <= spec.keys() <= {"scaleTargetRef", "triggers"} | known
    assert all(isinstance(spec[name], int) for name in spec.keys() & known - {"advanced"})
    assert 0 <= spec["minReplicaCount"] < spec["maxReplicaCount"]
    [trigger] = spec["triggers"]
    assert trigger.keys() == {"type", "metricType", "metadata"}
    assert (trigger["type"], trigger["metricType"]) == ("postgresql", "AverageValue")
    assert trigger["metadata"].keys() == {"connectionFromEnv", "targetQueryValue", "query"}
    assert all(isinstance(value, str) for value in trigger["metadata"].values())
    # What lies below is Kubernetes's own.
    [(name, inner)] = spec["advanced"].items()
    assert name == "horizontalPodAutoscalerConfig"
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": manifest["metadata"],
        "spec": {"scaleTargetRef": {"kind": "Deployment", **spec["scaleTargetRef"]}, "maxReplicas": 1, **inner},
    }
    kubernetes_validate.validate(autoscaler, VERSION, strict=True)


def test_every_process_is_deployed_once_and_is_the_same_without_kubernetes() -> None:
    deployed = [manifest["metadata"]["name"] for manifest in of_kind("Deployment", among=BASE)]
    assert sorted(deployed) == sorted(COMMANDS)
    for manifest in of_kind("Deployment"):
        name = manifest["metadata"]["name"]
        [container] = template(manifest)["spec"]["containers"]
        line = COMMANDS[name.removesuffix("-gpu")].line.format(schedule="/tmp/schedule")  # noqa: S108 - the container's
        assert container["command"] == shlex.split(line), name


def test_gpus_take_the_place_of_the_workers_on_cpus_and_nothing_else() -> None:
    [gpu] = of_kind("Deployment", among=resources(FOLDER / "gpu"))
    [container] = template(gpu)["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert container["image"] == "lesionlens-gpu"
    assert {"name": "INFERENCE_BATCH", "value": "0"} in container["env"]  # how many it takes is found by trial
    removed = yaml.safe_load((FOLDER / "gpu" / "kustomization.yaml").read_text())["patches"]
    assert all("$patch: delete" in patch["patch"] for patch in removed)
    cpu = {named(manifest) for manifest in BASE if manifest["metadata"]["name"] == "worker-inference"}
    assert {f"{patch['target']['kind']}/{patch['target']['name'].strip('^$')}" for patch in removed} == cpu
    assert {named(manifest).removesuffix("-gpu") for manifest in resources(FOLDER / "gpu")} == cpu


def test_images_are_those_that_compose_builds_in_this_version() -> None:
    built = {
        service["image"].partition(":")[0]
        for service in yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"].values()
        if "build" in service
    }
    assert {container["image"] for manifest in WORKLOADS for container in containers(manifest)} == built
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    renamed = [
        image
        for name in ("base", "gpu")
        for image in yaml.safe_load((FOLDER / name / "kustomization.yaml").read_text())["images"]
    ]
    assert {image["name"] for image in renamed} == built
    assert {image["newTag"] for image in renamed} == {version}


def test_every_setting_is_one_that_the_service_reads() -> None:
    read = set(re.findall(r'env\.\w+\(\s*"(\w+)"', SETTINGS)) | GUNICORN
    given = {*keys(FOLDER / "base" / "settings.env"), *keys(FOLDER / "secrets.env.example")}
    assert (given | OWN_ENVIRONMENT) - read - OF_THE_MANIFESTS - {"TMPDIR"} == set()
    assert {"SECRET_KEY", "DATABASE_URL", "REDIS_URL", "S3_BUCKET", "EMAIL_URL", "METRICS_TOKEN", "SITE_URL"} <= given


def test_the_broker_of_the_example_must_prove_who_it_is() -> None:
    """To Django's cache; tests/webapp/test_broker.py asks the same of Celery."""
    [address] = re.findall(r"^# (rediss://\S+)$", (FOLDER / "secrets.env.example").read_text(), re.MULTILINE)
    cache = ConnectionPool.from_url(address).make_connection()
    assert isinstance(cache, SSLConnection)
    assert cache.cert_reqs == ssl.CERT_REQUIRED


def test_no_secret_has_a_value_or_is_made_here() -> None:
    example = (FOLDER / "secrets.env.example").read_text()
    assert all(line.endswith("=") for line in example.splitlines() if line and not line.startswith("#"))
    assert of_kind("Secret") == []
    secret = set(keys(FOLDER / "secrets.env.example"))
    assert not secret & set(keys(FOLDER / "base" / "settings.env"))
    assert not secret & {
        env["name"] for m in WORKLOADS for container in containers(m) for env in container.get("env", [])
    }
    for manifest in WORKLOADS:
        for container in containers(manifest):
            assert container["envFrom"] == [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "secrets"}}]


def test_every_selector_finds_its_pods_and_no_others() -> None:
    pods = {m["metadata"]["name"]: template(m)["metadata"]["labels"] for m in WORKLOADS}
    for manifest in of_kind("Deployment", "PodDisruptionBudget", "Service"):
        selector = manifest["spec"]["selector"]
        selector = selector.get("matchLabels", selector)
        found = [name for name, labels in pods.items() if selector.items() <= labels.items()]
        assert found == [manifest["metadata"]["name"]], named(manifest)
    for manifest in [*SCALED, *of_kind("HorizontalPodAutoscaler")]:
        assert manifest["spec"]["scaleTargetRef"]["name"] in pods
    components = {labels["app.kubernetes.io/component"] for labels in pods.values()}
    for manifest in of_kind("NetworkPolicy"):
        selector = manifest["spec"]["podSelector"]
        wanted = [selector.get("matchLabels", {}).get("app.kubernetes.io/component")]
        wanted += [value for rule in selector.get("matchExpressions", []) for value in rule["values"]]
        assert set(filter(None, wanted)) <= components, named(manifest)


@pytest.mark.parametrize("manifest", WORKLOADS, ids=named)
def test_every_pod_is_confined_limited_and_has_somewhere_to_write(manifest: Manifest) -> None:
    spec = template(manifest)["spec"]
    user = re.search(r"useradd .*--uid (\d+)", (ROOT / "deploy" / "docker" / "Dockerfile").read_text())
    assert user is not None
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == int(user[1])
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    volumes = {volume["name"] for volume in spec["volumes"]}
    for container in containers(manifest):
        confined = {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["securityContext"] == confined
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert "/tmp" in mounts  # noqa: S108 - the container's
        assert set(mounts.values()) <= volumes


@pytest.mark.parametrize("manifest", of_kind("Deployment"), ids=named)
def test_every_process_is_probed_and_ends_in_good_order(manifest: Manifest) -> None:
    [container] = template(manifest)["spec"]["containers"]
    name = manifest["metadata"]["name"]
    assert "livenessProbe" in container
    if name == "web":
        assert {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")} == {
            "/healthz"
        }
        assert container["lifecycle"]["preStop"]
    elif "inspect ping" in (probed := container["livenessProbe"]["exec"]["command"][-1]):
        assert f"--destination {name}@$HOSTNAME" in probed
    assert template(manifest)["spec"]["terminationGracePeriodSeconds"] >= 30


def test_the_warm_workers_are_probed_by_the_file_that_they_touch() -> None:
    from workers.warmth import WARM

    probes = [
        container["livenessProbe"]["exec"]["command"][-1]
        for manifest in of_kind("Deployment")
        if manifest["metadata"]["name"].startswith("worker-inference")
        for container in template(manifest)["spec"]["containers"]
    ]
    assert len(probes) == 2
    assert all(f"find /tmp/{WARM.name} -mmin -5 " in probe for probe in probes)


def test_the_clock_is_one_and_the_rest_survives_a_drained_node() -> None:
    deployments = {manifest["metadata"]["name"]: manifest["spec"] for manifest in of_kind("Deployment")}
    assert deployments["scheduler"]["replicas"] == 1
    assert deployments["scheduler"]["strategy"] == {"type": "Recreate"}
    budgets = {manifest["metadata"]["name"] for manifest in of_kind("PodDisruptionBudget")}
    assert budgets == set(deployments) - {"scheduler", "worker-training"}
    # Who is scaled says nowhere how many there are: applying the manifests again would undo the autoscaler's work.
    scaled = {m["spec"]["scaleTargetRef"]["name"] for m in [*SCALED, *of_kind("HorizontalPodAutoscaler")]}
    assert {name for name, spec in deployments.items() if "replicas" not in spec} == scaled


def test_the_job_prepares_what_every_pod_waits_for() -> None:
    [job] = of_kind("Job")
    [container] = template(job)["spec"]["containers"]
    commands = [part.split()[2] for part in container["command"][-1].split(" && ")]
    assert commands == ["migrate", "register_bundle"]
    assert set(commands) <= get_commands().keys()
    for manifest in of_kind("Deployment"):
        [first] = template(manifest)["spec"]["initContainers"]
        assert first["command"] == ["python", "manage.py", "migrate", "--check"]
