"""What the provider's templates ask of a case."""

import numpy as np
from django import template

from ml.imaging.overlay import LEVELS, unpack
from webapp.cases.selectors import capped_count, stage
from webapp.inference.models import Result

register = template.Library()
register.filter("bounded", capped_count)
register.filter(stage)

ROWS = ("upper ", "", "lower ")
COLUMNS = ("left", "middle", "right")


@register.filter
def hottest(answer: Result) -> str:
    """The third of a picture, from above and from the left, where its heatmap is strongest; empty if it is clear."""
    heat = unpack(answer.heatmap) if answer.heatmap else np.zeros((1, 1))
    if heat.max() < LEVELS[0]:
        return ""
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    rows, columns = heat.shape
    return ROWS[3 * (2 * int(row) + 1) // (2 * rows)] + COLUMNS[3 * (2 * int(column) + 1) // (2 * columns)]
