"""docs/settings.md names every setting that is read, with the number that holds without it."""

import math
import re

from tests.deploy.manifests import EXAMPLE, ROOT

ROWS = dict(re.findall(r"^\| (`[A-Z].*?) \| (.*?) \|", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE))
NAMED = {name for row in ROWS for name in re.findall(r"`(\w+)`", row)}
READ = (ROOT / "webapp" / "settings.py").read_text()
OF_ONE_MACHINE = {"PORT", "DEMO_PASSWORD"}  # read by `make serve` alone
OF_COMPOSE = {"VERSION", "SITE_HOST", "POSTGRES_PASSWORD", "REDIS_PASSWORD", "WORKER_CPUS", "INFERENCE_WORKERS"}


def test_every_setting_is_there_and_no_other() -> None:
    read = set(re.findall(r'env\.\w+\(\s*"(\w+)"', READ))
    assert read | OF_ONE_MACHINE == NAMED


def test_every_number_is_the_one_that_holds() -> None:
    numbers = re.findall(r'env\.(?:whole|share)\("(\w+)", ([\d.* ]+)', READ)
    assert len(numbers) > 10
    for name, default in numbers:
        factors = default.replace("1024**3", str(1024**3)).split(" * ")
        assert ROWS[f"`{name}`"].split()[0] == f"{math.prod(map(float, factors)):.15g}"


def test_what_the_example_asks_for_is_there_or_compose_reads_it() -> None:
    assert set(re.findall(r"^(\w+)=", EXAMPLE, re.MULTILINE)) <= NAMED | OF_COMPOSE
