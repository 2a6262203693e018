"""Published projects and the release that ships, each as one file that says everything, trained by one trainer."""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ml.recipes.recipe import Recipe

NAMES: Final = ("release", "lesionlens", "ham-cnn", "mobilenetv2-binary", "mobilenetv2-edge", "tbp-distill")
"""Each is `RECIPE` of the module of that name; they are imported when asked for, since they import Keras."""


def named(name: str) -> "Recipe":
    """The recipe of that name. Raises KeyError for one that is not in NAMES."""
    if name not in NAMES:
        raise KeyError(name)
    found: Recipe = import_module(f"ml.recipes.{name.replace('-', '_')}").RECIPE
    return found
