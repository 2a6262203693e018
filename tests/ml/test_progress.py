"""What a person is told of a long run; what a program is told, the tests of the commands read."""

import json
from contextlib import suppress

import pytest

from ml import progress
from ml.progress import JsonProgress, TextProgress


def test_what_a_run_has_made_is_told_in_lines(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {
        "balanced_accuracy": {"value": 0.759, "low": 0.709, "high": 0.807},
        "melanoma_auc": {"value": None, "low": None, "high": None},
        "mean_jaccard": {"value": 0.9, "low": None, "high": None},
    }
    TextProgress().done(bundle="made [1]", dropped_seen=0, refused={}, test={"images": 3, "metrics": metrics})
    assert capsys.readouterr().err.splitlines() == [
        "bundle: made [1]",
        "dropped seen: 0",
        "refused: none",
        "test:",
        "  images: 3",
        "  metrics, with 95 % intervals by lesion:",
        "    Balanced accuracy: 0.759 (0.709 to 0.807)",
        "    AUC, melanoma against all others: not determined",
        "    mean jaccard: 0.900",
    ]


def test_a_program_is_told_now_and_then_how_far_a_stage_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for each step: a service keeps what it is told."""
    with JsonProgress().steps("reading", 1000) as advance:
        for _ in range(1000):
            advance()
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(progress, "EVERY", 0.0)
    with JsonProgress().steps("reading", 3) as advance:
        advance(2)
        advance()
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told == [{"event": "steps", "name": "reading", "done": done, "of": 3} for done in (2, 3)]
    with TextProgress().steps("reading", 3) as advance:
        advance()
    assert capsys.readouterr().err == "  reading: 1 of 3\n"


def test_a_person_at_a_terminal_sees_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is interrupted: the cursor comes back."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = TextProgress()
    with suppress(KeyboardInterrupt), shown.steps("reading", 3) as advance:
        advance()
        shown.epoch("tiny", 1, 2, 0.5, None)
        raise KeyboardInterrupt
    told = capsys.readouterr().err
    assert "1/3" in told
    assert "tiny epoch 1/2" in told
    assert told.endswith("\x1b[?25h")
