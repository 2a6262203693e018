"""Weights on a disk that is full."""

from pathlib import Path

import numpy as np
import pytest

from ml.networks import members, weights
from tests.ml.full_disk import no_file_longer_than


def test_weights_are_there_whole_or_not_at_all(tmp_path: Path) -> None:
    """Half a file would pass for a finished member in every later run."""
    path = tmp_path / "work" / "tiny.npz"
    model = members.build("tiny", (64, 48))
    with pytest.raises(OSError, match="too large"), no_file_longer_than(2000):
        weights.save(model, path)
    assert not any(path.parent.iterdir())
    weights.save(model, path)
    assert [file.name for file in path.parent.iterdir()] == ["tiny.npz"]

    with pytest.raises(OSError, match="too large"), no_file_longer_than(2000):
        weights.save(members.build("tiny", (64, 48)), path)
    again = members.build("tiny", (64, 48))
    weights.load(again, path)
    np.testing.assert_allclose(again.get_weights()[0], model.get_weights()[0], atol=1e-3)
