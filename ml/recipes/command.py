"""`python -m ml train <recipe>`: its arguments, and what it calls."""

import argparse
from pathlib import Path
from typing import Final

from ml.cli import options as shared
from ml.progress import progress_for
from ml.recipes import NAMES

WORK: Final = Path(".local/training")
OUTPUTS: Final = Path(".local/trained")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `run`."""
    parser.add_argument("recipe", choices=NAMES, help="what to train")
    shared.path(parser, "--data", "folder with labelled images in a published layout")
    text = f"folder for what an interrupted run goes on from (default {WORK})"
    parser.add_argument("--work", type=Path, default=WORK, help=text)
    text = f"the bundle to make; its last part is its name (default {OUTPUTS}/<recipe>)"
    parser.add_argument("--output", type=Path, help=text)
    text = "folder with <network>_imagenet_notop.weights.h5 or .keras (default .local/backbones, if it is there)"
    parser.add_argument("--backbones", type=Path, help=text)
    parser.add_argument("--teacher", type=Path, help="a bundle whose answers are learnt beside the labels")
    parser.add_argument("--start", type=Path, help="a bundle whose members go on learning")
    parser.add_argument("--keep", help="comma-separated members of --start that stay as they are (default: none)")
    parser.add_argument("--members", help="comma-separated, some of the recipe's (default: all)")
    parser.add_argument("--epochs", type=shared.one_or_more, help="instead of the recipe's")
    parser.add_argument("--samples", type=shared.one_or_more, help="images drawn in an epoch (default: the recipe's)")
    shared.seed(parser)
    parser.add_argument("--only-by-lesion", action="store_true", help="leave out the authors' own split")
    shared.progress(parser)


def run(options: argparse.Namespace) -> None:
    """Trains a recipe. Raises DataError `unknown_member` for a member that it does not have, for one to keep that it or
    the bundle to start from does not have, and where these share none; and what `ml.recipes.trainer.train` raises.
    """
    from ml import bundle
    from ml.data.errors import DataError
    from ml.recipes import imagenet, named, trainer
    from ml.recipes.given import Run

    chosen = named(options.recipe)
    members = options.members.split(",") if options.members else ()
    if unknown := sorted(set(members) - {part.name for part in chosen.members}):
        told = ", ".join(part.name for part in chosen.members)
        raise DataError("unknown_member", f"{chosen.name} has no {', '.join(unknown)}, only {told}.")
    keep = options.keep.split(",") if options.keep else ()
    recipe = chosen.reduced(members, options.epochs, options.samples, options.seed, keep)
    started = bundle.load(options.start, to_start_from=True).members if options.start else []
    going_on = {member.name for member in started} & {part.name for part in recipe.members}
    if started and not going_on:
        told = ", ".join(member.name for member in started)
        raise DataError("unknown_member", f"--start gives {told}, and no member of {recipe.name} goes on from these.")
    if unknown := sorted(set(keep) - going_on):
        raise DataError("unknown_member", f"--start gives no {', '.join(unknown)} that {recipe.name} could keep.")
    trainer.train(
        Run(
            recipe=recipe,
            data=options.data,
            work=options.work,
            output=options.output or OUTPUTS / recipe.name,
            backbones=options.backbones or imagenet.found(),
            teacher=options.teacher,
            start=options.start,
            as_authors=not options.only_by_lesion,
        ),
        progress_for(options.progress),
    )
