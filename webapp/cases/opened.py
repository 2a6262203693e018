"""The list that a case was opened from: the case's address names it, and its filters as one word that only this site
can read. They say what was found in this very case, and addresses are kept by browsers and sent to colleagues.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from webapp.cases.selectors import FILTERS, UNCERTAINTIES
from webapp.ciphers import seal, unseal
from webapp.pages.words import ADVICE, uncertainty_in_words
from webapp.registry.selectors import rolled_back

PURPOSE = b"lesionlens filters of a list"
TO_REVIEW = "to_review"


@dataclass(frozen=True)
class Opened:
    """A list of cases: what is to review, or a batch; `query` is what the address of each of its cases says of it."""

    reviewing: bool
    filters: dict[str, str]
    query: str

    @property
    def back(self) -> str:
        """What the list's own address says."""
        return _query(self.filters)


def listed(request: HttpRequest, *, reviewing: bool = False) -> Opened:
    """The list that this request asks for."""
    filters = {name: value for name in FILTERS if (value := request.GET.get(name))}
    named = {"list": TO_REVIEW} if reviewing else {}
    if filters:
        named["filters"] = seal(PURPOSE, urlencode(filters))
    return Opened(reviewing, filters, _query(named))


def choices() -> dict[str, Any]:
    """What the filters of a list offer, whatever cases it has."""
    bands = {band: uncertainty_in_words(least) for band, (least, _) in UNCERTAINTIES.items()}
    return {
        "advices": [(code, words.word) for code, words in ADVICE.items()],
        "uncertainties": [(band, f"{band.capitalize()}: {words}") for band, words in bands.items()],
    }


def beside_rows() -> dict[str, Any]:
    """What the rows of a list show beside their cases: releases that were rolled back, asked for only where a row has
    the answer of a retired one.
    """
    return {"rolled_back": SimpleLazyObject(rolled_back)}


def opened_from(request: HttpRequest) -> Opened:
    """The list that the address of a case names: its whole batch, where it names none that can be read."""
    named = {name: value for name in ("list", "filters") if (value := request.GET.get(name))}
    filters = dict(parse_qsl(unseal(PURPOSE, named.get("filters", "")) or ""))
    return Opened(named.get("list") == TO_REVIEW, filters, _query(named))


def _query(named: dict[str, str]) -> str:
    return f"?{urlencode(named)}" if named else ""
