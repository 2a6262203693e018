"""The runner: what it writes, and that a bench which dies stops no other."""

import json
from pathlib import Path

import pytest

from tests.bench import __main__ as runner
from tests.bench.figures import Figure
from tests.bench.isolated import measured
from tests.bench.machine import Machine
from tests.bench.report import Outcome, Report, markdown

MACHINE = Machine("a processor", 2, 24, "2026-11-21T10:00+00:00", "abc1234", 0.1)
GOOD = """
from tests.bench.figures import Figure
def measure(scale):
    return [Figure("images", 10 * scale, "images/s", ">= 3", True, "fast")]
"""


@pytest.fixture
def benches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose modules a bench's process can import."""
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path.cwd()}")
    (tmp_path / "good_bench.py").write_text(GOOD)
    return tmp_path


def test_a_bench_gives_its_figures_from_another_process(benches: Path) -> None:
    outcome = measured("good", "good_bench", 0.5)

    assert outcome.figures == [Figure("images", 5.0, "images/s", ">= 3", True, "fast")]
    assert outcome.error == ""


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("raise ValueError('no')", "ended with status 1"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was ended by signal 9"),
    ],
)
def test_a_bench_that_dies_is_told_as_such(benches: Path, body: str, told: str) -> None:
    (benches / "dying_bench.py").write_text(f"def measure(scale):\n    {body}\n")

    outcome = measured("dying", "dying_bench", 1)

    assert told in outcome.error
    assert list(outcome.figures) == []


def test_the_runner_goes_on_after_a_failure_and_writes_json_and_markdown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = {
        "drain": Outcome("drain", 1.0, error="was ended by signal 9 and gave no figures"),
        "peers": Outcome("peers", 2.0, [Figure("rate", 123.4, "images/s", ">= 100", True)]),
    }
    monkeypatch.setattr(runner, "measured", lambda name, module, scale: answers[name])
    out = tmp_path / "new" / "bench.json"
    monkeypatch.setattr("sys.argv", ["bench", "--scale", "0.1", "--only", "drain,peers", "--out", str(out)])

    assert runner.main() == 1

    told = json.loads(out.read_text())
    assert told["scale"] == 0.1
    assert {"processor", "cores", "date", "commit", "load"} <= told["machine"].keys()
    assert [outcome["bench"] for outcome in told["outcomes"]] == ["drain", "peers"]
    assert told["outcomes"][1]["figures"][0] == {
        "name": "rate",
        "value": 123.4,
        "unit": "images/s",
        "target": ">= 100",
        "met": True,
        "note": "",
    }
    assert "signal 9" in out.with_suffix(".md").read_text()
    assert "rate" in capsys.readouterr().out


def test_the_markdown_says_which_targets_are_met_and_which_missed() -> None:
    figures = [Figure("share", 0.9051, "", ">= 0.9", True), Figure("worst", 1234.5, "ms", "<= 20", False, "a|b")]
    report = Report(MACHINE, 1, [Outcome("drain", 3, figures)])

    text = markdown(report)

    assert "2 cores of a processor, 24 GiB; 2026-11-21T10:00+00:00; commit abc1234" in text
    assert "| drain | share | 0.905 | >= 0.9 | met |  |" in text
    assert "| drain | worst | 1,234 ms | <= 20 | missed | a/b |" in text
    assert not report.met


def test_an_unknown_bench_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["bench", "--only", "speed"])

    with pytest.raises(SystemExit):
        runner.main()

    assert "no bench is called speed" in capsys.readouterr().err
