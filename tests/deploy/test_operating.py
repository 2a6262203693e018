"""The operator's commands name what the Compose file has."""

import re
from typing import Any

import yaml

from tests.deploy.manifests import EXAMPLE, ROOT
from webapp.operations.readiness import CHECKS

DOCUMENT = "\n".join((ROOT / "docs" / f"{name}.md").read_text() for name in ("operating", "backup", "secrets"))
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OPERATING = (ROOT / "docs" / "operating.md").read_text()
ALERTS = (ROOT / "deploy" / "kubernetes" / "alerts.yaml").read_text()
BLOCKS = re.findall(r"```\n(.*?)```", DOCUMENT, re.DOTALL)
COMMANDS = [
    *(line.partition(" #")[0].strip() for block in BLOCKS for line in block.splitlines()),
    *re.findall(r"`(docker compose [^`]+)`", DOCUMENT),
]
# What stands before the services that a subcommand names, and whether a command follows the first.
SERVICES_AFTER = {
    "exec": r"exec(?: -T)? (\S+)",
    "run": r"run --rm --no-deps (\S+)",
    "restart": r"restart (.+)",
    "logs": r"logs(?: --since 1h)? (.+)",
    "up": r"up --detach(?: --wait)?((?: \w[\w-]*)*)",
}


def test_services_are_those_that_there_are() -> None:
    named = set()
    for command in COMMANDS:
        found = re.match(r"docker compose (\w+)", command)
        if found and found[1] in SERVICES_AFTER:
            services = re.match(rf"docker compose {SERVICES_AFTER[found[1]]}", command)
            assert services is not None, command
            named |= set(services[1].split())
    assert {"postgres", "s3", "migrate", "redis", "proxy", "worker-training"} <= named <= COMPOSE["services"].keys()


def test_network_volumes_and_settings_are_those_that_there_are() -> None:
    assert set(re.findall(r"--network (\S+)", DOCUMENT)) == {f"{COMPOSE['name']}_default"}
    volumes = re.findall(r"volumes? `(\w+)`(?: and `(\w+)`)?", DOCUMENT)
    assert {"objects", "postgres"} <= {name for pair in volumes for name in pair if name} <= COMPOSE["volumes"].keys()
    assert {f"--username {COMPOSE['services']['postgres']['environment']['POSTGRES_USER']}"} == set(
        re.findall(r"--username \S+", DOCUMENT)
    )
    for setting in set(re.findall(r"\$\{?(S3_\w+)", DOCUMENT)) | {"VERSION", "SECRET_KEY"}:
        assert f"\n{setting}=" in EXAMPLE
    [server] = set(re.findall(r"--endpoint-url (\S+)", DOCUMENT))
    assert COMPOSE["x-app"]["environment"]["S3_ENDPOINT_URL"] == f"${{S3_ENDPOINT_URL:-{server}}}"


def test_a_backup_that_breaks_off_leaves_the_last_one_as_it_was() -> None:
    [kept] = re.findall(r"pg_restore .* < (\S+)", DOCUMENT)
    [dumped] = re.findall(r"pg_dump .* > (.+)", DOCUMENT)
    assert dumped == f"{kept}.new && mv {kept}.new {kept}"


def test_each_alert_and_each_part_of_readyz_leads_to_a_command() -> None:
    table = OPERATING.partition("\n## When something is wrong\n")[2].partition("\n## ")[0]
    told = " ".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| "))
    assert set(re.findall(r"LesionLens\w+", told)) == set(re.findall(r"alert: (\w+)", ALERTS))
    assert [name for name, _ in CHECKS if f"`{name}`" not in told] == []
