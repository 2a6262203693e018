"""What the manifests ask of their surroundings at their maxima, and what a new version takes away meanwhile."""

import re

from django.conf import settings

from deploy.local.commands import COMMANDS
from tests.deploy.manifests import BASE, ROOT, of_kind, template


def connections(name: str) -> int:
    """How many connections to Postgres a pod of a Deployment holds at most."""
    if name == "worker-inference":
        return 3  # its task, the thread that writes, and the one that keeps the model warm
    if name == "worker-training":
        return 2  # its task, and the thread that keeps the lease
    line = COMMANDS[name].line
    found = re.search(r"--threads (\d+)|--concurrency (\d+)", line)
    assert found is not None
    return int(found[1] or found[2])


def test_the_document_counts_the_connections_at_the_maxima() -> None:
    specs = [manifest["spec"] for manifest in of_kind("ScaledObject", among=BASE)]
    scaled = {spec["scaleTargetRef"]["name"]: spec["maxReplicaCount"] for spec in specs}
    [site] = of_kind("HorizontalPodAutoscaler")
    maxima = scaled | {site["spec"]["scaleTargetRef"]["name"]: site["spec"]["maxReplicas"]}
    needed = sum(maximum * connections(name) for name, maximum in maxima.items()) + len(scaled) + len(of_kind("Job"))
    deployed = {manifest["metadata"]["name"]: manifest["spec"] for manifest in of_kind("Deployment", among=BASE)}
    rolling = {name: spec["strategy"].get("rollingUpdate", {"maxSurge": 0}) for name, spec in deployed.items()}
    added = sum(update["maxSurge"] * connections(name) for name, update in rolling.items() if update["maxSurge"])
    document = (ROOT / "docs" / "kubernetes.md").read_text()
    stated = re.search(r"`max_connections` of (\d+)\. At their maxima the pods hold (\d+), and (\d+) while", document)
    assert stated is not None
    most, usual, changing = map(int, stated.groups())
    assert (usual, changing) == (needed, needed + added)
    assert changing < most


def test_a_certificate_can_be_made_and_a_patients_photos_come_through() -> None:
    """By cert-manager, whose pod answers on port 8089, and by ingress-nginx, which takes 1 MB unless it is told."""
    policies = {m["metadata"]["name"]: m["spec"] for m in of_kind("NetworkPolicy")}
    solver, site = policies["certificates-are-made"], policies["the-site-is-entered"]
    assert solver["podSelector"] == {"matchLabels": {"acme.cert-manager.io/http01-solver": "true"}}
    assert solver["ingress"][0]["ports"] == [{"protocol": "TCP", "port": 8089}]
    assert solver["ingress"][0]["from"] == site["ingress"][0]["from"]
    [ingress] = of_kind("Ingress")
    size = ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"]
    assert int(size.removesuffix("m")) * 1024**2 > 3 * settings.UPLOAD_MAX_BYTES


def test_no_secret_address_reaches_the_log_of_the_ingress() -> None:
    [ingress] = of_kind("Ingress")
    assert ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/enable-access-log"] == "false"


def test_a_new_version_leaves_the_site_and_the_model_where_they_are_until_it_is_ready() -> None:
    """A lone GPU cannot be in two pods."""
    rolling = {m["metadata"]["name"]: m["spec"]["strategy"].get("rollingUpdate", {}) for m in of_kind("Deployment")}
    assert {name for name, update in rolling.items() if update.get("maxUnavailable") == 0} == {
        "web",
        "worker-inference",
    }
    # Ready is whose start was found to be good: of an inference worker, that a model is loaded.
    [inference] = [m for m in of_kind("Deployment") if m["metadata"]["name"] == "worker-inference"]
    [container] = template(inference)["spec"]["containers"]
    assert container["startupProbe"]["exec"] == container["livenessProbe"]["exec"]


def test_no_probe_gives_a_busy_container_the_usual_second() -> None:
    for manifest in of_kind("Deployment"):
        for container in template(manifest)["spec"]["containers"]:
            for kind in ("startupProbe", "livenessProbe"):
                if "exec" in container.get(kind, {}):
                    assert container[kind]["timeoutSeconds"] >= 10, (manifest["metadata"]["name"], kind)
