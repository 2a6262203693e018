"""The Docker files are valid, complete, hold no secret, and run what is run without Docker."""

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import compose
import pytest
import yaml
from django.conf import settings as site

from deploy.local.commands import COMMANDS
from deploy.local.postgres import DISCREET
from tests.deploy.manifests import EXAMPLE, ROOT
from webapp.operations.middleware import SENDERS, SHARE

DOCKER_COMPOSE = Path(compose.__file__).parent / "docker-compose"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
SECRETS = ["SECRET_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY", "METRICS_TOKEN"]


def config(folder: Path, settings: str, *arguments: str, project: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """What `docker compose config` says about our file with these settings."""
    env_file = folder / "env"
    env_file.write_text(settings)
    argv = [str(DOCKER_COMPOSE), "--file", "docker-compose.yml", "--env-file", str(env_file), *arguments]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    return subprocess.run(argv, env=environment, cwd=project, capture_output=True, text=True, check=False)


def filled_in(settings: str) -> str:
    """The example, with every empty value filled in."""
    return re.sub(r"^(\w+)=$", r"\1=filled-in", settings, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every service, with all settings and profiles resolved."""
    result = config(tmp_path_factory.mktemp("compose"), filled_in(EXAMPLE), "--profile", "*", "config")
    assert result.returncode == 0, result.stderr
    resolved: dict[str, Any] = yaml.safe_load(result.stdout)["services"]
    return resolved


def test_the_services_of_a_whole_site_are_there(services: dict[str, Any]) -> None:
    servers = {"proxy", "postgres", "redis", "s3", "migrate"}
    assert set(services) == set(COMMANDS) | {"worker-inference-gpu"} | servers


def test_the_proxy_lets_in_as_large_a_zip_as_the_site_takes(services: dict[str, Any]) -> None:
    limits = {services[name]["environment"]["IMPORT_MAX_BYTES"] for name in ("proxy", *COMMANDS)}
    assert limits == {str(site.IMPORT_MAX_BYTES)}  # bytes for both: to a proxy 2GB is less than 2 GiB


@pytest.mark.parametrize("name", COMMANDS)
def test_a_process_is_the_same_with_and_without_docker(services: dict[str, Any], name: str) -> None:
    command = services[name]["command"]
    assert command == shlex.split(COMMANDS[name].line.format(schedule="/tmp/schedule"))  # noqa: S108 - the container's


def test_the_gpu_worker_differs_by_its_device_alone(services: dict[str, Any]) -> None:
    gpu, cpu = services["worker-inference-gpu"], services["worker-inference"]
    assert gpu["command"] == cpu["command"]
    assert gpu["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]
    assert gpu["profiles"] == ["gpu"]
    assert gpu["environment"] == {**cpu["environment"], "INFERENCE_BATCH": "0"}  # how many it takes is found by trial


def with_a_second_gpu(folder: Path) -> dict[str, Any]:
    second = ("--file", "deploy/docker/second-gpu.yml")
    result = config(folder, filled_in(EXAMPLE), *second, "--profile", "*", "config")
    assert result.returncode == 0, result.stderr
    resolved: dict[str, Any] = yaml.safe_load(result.stdout)["services"]
    return resolved


def test_a_second_gpu_has_a_worker_of_its_own(tmp_path: Path) -> None:
    workers = {name: service for name, service in with_a_second_gpu(tmp_path).items() if "inference-gpu" in name}
    taken = [worker["deploy"]["resources"]["reservations"]["devices"] for worker in workers.values()]
    assert [device["device_ids"] for [device] in taken] == [["0"], ["1"]]
    assert len({str(worker["command"]) for worker in workers.values()}) == 1


def test_the_file_of_settings_says_that_there_are_gpus(tmp_path: Path) -> None:
    """So each command of the documents is the same with them and without."""
    (tmp_path / "deploy" / "docker").mkdir(parents=True)
    for name in ("docker-compose.yml", "deploy/docker/second-gpu.yml"):
        shutil.copy(ROOT / name, tmp_path / name)
    on_cpus = filled_in(EXAMPLE)
    on_gpu = on_cpus.replace("\nINFERENCE_WORKERS=1\n", "\nINFERENCE_WORKERS=0\n").replace("\n#COMPOSE", "\nCOMPOSE")
    [second] = re.findall(r"COMPOSE_FILE=\S+", (ROOT / "deploy" / "docker" / "second-gpu.yml").read_text())
    found = []
    for told in (on_cpus, on_gpu, f"{on_gpu}{second}\n"):
        (tmp_path / ".env").write_text(told)
        argv = [str(DOCKER_COMPOSE), "config"]
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
        resolved = subprocess.run(argv, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
        services = yaml.safe_load(resolved.stdout)["services"]
        workers = {name: service["deploy"] for name, service in services.items() if "inference" in name}
        found.append({name: deployed.get("replicas", 1) for name, deployed in workers.items()})
    assert found == [
        {"worker-inference": 1},
        {"worker-inference": 0, "worker-inference-gpu": 1},
        {"worker-inference": 0, "worker-inference-gpu": 1, "worker-inference-gpu-1": 1},
    ]


def test_each_image_is_built_once_and_never_looked_for_elsewhere(tmp_path: Path) -> None:
    """Compose builds all at once, and two that export one name meet as "already exists" on a machine without it."""
    services = with_a_second_gpu(tmp_path)
    built = sorted(service["image"] for service in services.values() if "build" in service)
    assert built == [f"lesionlens-gpu:{VERSION}", f"lesionlens:{VERSION}"]
    ours = [service for service in services.values() if service["image"] in built]
    assert len(ours) == len(COMMANDS) + len({"migrate", "worker-inference-gpu", "worker-inference-gpu-1"})
    assert {service.get("pull_policy") for service in ours} == {"never"}
    # Whoever starts one service alone has its image built, because what it depends on is started with it.
    assert "build" in services["migrate"]
    assert all("migrate" in service["depends_on"] for service in ours if service is not services["migrate"])


def test_it_starts_on_two_cores_and_its_models_take_more_where_told(tmp_path: Path) -> None:
    """Docker starts no container that may take more cores than the machine has."""
    unsaid = re.sub(r"^WORKER_CPUS=.*\n", "", filled_in(EXAMPLE), flags=re.MULTILINE)
    assert unsaid != filled_in(EXAMPLE)
    limits = []
    for settings in (unsaid, f"{unsaid}WORKER_CPUS=16\n"):
        resolved = yaml.safe_load(config(tmp_path, settings, "--profile", "*", "config").stdout)["services"]
        limits.append({name: s["deploy"]["resources"]["limits"]["cpus"] for name, s in resolved.items()})
    usual, more = limits
    assert max(usual.values()) <= 2
    assert {name for name in usual if usual[name] != more[name]} == {
        "worker-inference",
        "worker-inference-gpu",
        "worker-training",
    }
    assert max(more.values()) == 16


def test_a_model_that_is_trained_in_a_container_says_of_which_version(services: dict[str, Any]) -> None:
    """There is no repository to ask; and a version without a name of its own would take the last one's images away."""
    stages = (ROOT / "deploy" / "docker" / "Dockerfile").read_text().split("\nFROM ")
    for service in ("migrate", "worker-inference-gpu"):
        build = services[service]["build"]
        assert build["args"] == {"VERSION": services[service]["image"].partition(":")[2]}
        [stage] = [stage for stage in stages if stage.startswith(f"base AS {build['target']}\n")]
        assert "\nARG VERSION" in stage
        assert "\nENV LESIONLENS_CODE_VERSION=$VERSION" in stage
    kubernetes = (ROOT / "docs" / "kubernetes.md").read_text()
    named = re.findall(r"docker build .*--build-arg VERSION=(\S+) --tag \S+:(\S+)", kubernetes)
    assert named == [(VERSION, VERSION)]


def test_any_setting_of_the_site_may_be_added_to_the_file(tmp_path: Path) -> None:
    shutil.copy(ROOT / "docker-compose.yml", tmp_path)
    told = filled_in(EXAMPLE) + "\nREQUIRE_SECOND_FACTOR=1\nDATABASE_URL=sqlite:///of-the-file\n"
    (tmp_path / ".env").write_text(told)
    result = config(tmp_path, told, "config", project=tmp_path)
    assert result.returncode == 0, result.stderr
    for name in COMMANDS:
        environment = yaml.safe_load(result.stdout)["services"][name]["environment"]
        assert environment["REQUIRE_SECOND_FACTOR"] == "1"
        assert environment["DATABASE_URL"].startswith("postgres://")  # what the containers themselves need stays


def test_a_site_may_have_more_names_and_a_bucket_elsewhere(tmp_path: Path) -> None:
    added = {
        "ALLOWED_HOSTS": "lesionlens.example.org,lens.example.org",
        "S3_ENDPOINT_URL": "https://s3.eu-central-1.amazonaws.com",
        "S3_PUBLIC_ENDPOINT_URL": "https://s3.eu-central-1.amazonaws.com",
    }
    told = filled_in(EXAMPLE) + "".join(f"\n{name}={value}" for name, value in added.items())
    whole = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    whole["services"]["s3"]["profiles"] = ["unused"]
    (tmp_path / "docker-compose.yml").write_text(yaml.safe_dump(whole))
    result = config(tmp_path, told, "config", project=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "s3" not in yaml.safe_load(result.stdout)["services"]
    environment = yaml.safe_load(result.stdout)["services"]["web"]["environment"]
    added["ALLOWED_HOSTS"] += ",web,127.0.0.1"
    assert added.items() <= environment.items()


def test_what_is_not_said_leads_to_the_servers_of_the_file(services: dict[str, Any]) -> None:
    environment = services["web"]["environment"]
    assert environment["ALLOWED_HOSTS"] == "lesionlens.example.org,web,127.0.0.1"
    assert environment["S3_ENDPOINT_URL"] == "http://s3:7070"
    assert environment["S3_PUBLIC_ENDPOINT_URL"] == "https://lesionlens.example.org"


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_has_a_default(tmp_path: Path, secret: str) -> None:
    assert f"{secret}=\n" in EXAMPLE
    without = filled_in(EXAMPLE).replace(f"\n{secret}=filled-in\n", f"\n{secret}=\n")
    result = config(tmp_path, without, "config", "--quiet")
    assert result.returncode != 0
    assert secret in result.stderr


def test_every_service_is_watched_limited_and_restarted(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}, name
        assert service["restart"].startswith("on-failure" if name == "migrate" else "unless-stopped"), name
        assert "no-new-privileges:true" in service["security_opt"], name
        if name != "migrate":
            assert service["healthcheck"]["test"], name
    assert "/healthz" in services["web"]["healthcheck"]["test"][-1]
    assert "/readyz" in services["proxy"]["healthcheck"]["test"][-1]


def test_checks_in_alpine_speak_as_busybox_does(services: dict[str, Any]) -> None:
    """Its grep knows no long option: a check that used one would never pass, and nothing that waits for it start."""
    checks = {
        name: service["healthcheck"]["test"][-1]
        for name, service in services.items()
        if service["image"].endswith("-alpine")
    }
    assert {"postgres", "redis", "proxy"} == checks.keys()
    assert not [name for name, check in checks.items() if re.search(r"\bgrep\b.*\s--\w", check)]


def test_archives_are_unpacked_on_disk(services: dict[str, Any]) -> None:
    """They may be as large as the worker's memory, and in a container /tmp is memory."""
    worker = services["worker-cpu"]
    assert worker["environment"]["TMPDIR"] in [volume["target"] for volume in worker["volumes"]]
    assert worker["environment"]["DATABASE_URL"] == services["web"]["environment"]["DATABASE_URL"]


@pytest.mark.parametrize("name", COMMANDS)
def test_files_that_are_sent_at_once_do_not_take_the_memory_of_a_container(services: dict[str, Any], name: str) -> None:
    [folder] = services[name]["tmpfs"]
    assert folder == "/tmp:size=256m"  # noqa: S108 - as in Kubernetes
    assert int(services[name]["deploy"]["resources"]["limits"]["memory"]) >= 2 * 256 * 1024**2
    assert SHARE * 256 * 1024**2 / SENDERS > 3 * site.UPLOAD_MAX_BYTES  # a patient's photos in one form


def test_no_check_has_a_password_in_its_arguments(services: dict[str, Any]) -> None:
    """Each user of the host may list them."""
    checks = {name: str(service.get("healthcheck", {}).get("test", "")) for name, service in services.items()}
    assert not [name for name, check in checks.items() if re.search(r"PASSWORD|SECRET| -a ", check)]
    assert services["redis"]["environment"]["REDISCLI_AUTH"] == services["redis"]["environment"]["REDIS_PASSWORD"]


def test_only_the_proxy_is_reachable_from_outside(services: dict[str, Any]) -> None:
    assert [name for name, service in services.items() if service.get("ports")] == ["proxy"]


def test_redis_is_not_root(services: dict[str, Any]) -> None:
    """With `sh` before it, which its password needs, its image would leave it root."""
    redis = services["redis"]
    assert (redis["command"][0], redis["user"], redis["cap_drop"]) == ("sh", "redis", ["ALL"])


def test_the_image_runs_as_an_unprivileged_user() -> None:
    stages = (ROOT / "deploy" / "docker" / "Dockerfile").read_text().split("\nFROM ")
    base = next(stage for stage in stages if " AS base\n" in stage)
    assert "\nUSER lesionlens" in base
    assert all(" AS build" in stage or "USER" not in stage for stage in stages if stage != base)


def test_no_personal_data_reach_the_log_of_the_database(services: dict[str, Any]) -> None:
    for name, value in DISCREET.items():
        assert f"{name}={value}" in services["postgres"]["command"]


def test_the_file_of_secrets_that_the_documents_ask_for_is_never_committed() -> None:
    assert "cp deploy/env.example .env " in (ROOT / "docker-compose.yml").read_text()
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()
