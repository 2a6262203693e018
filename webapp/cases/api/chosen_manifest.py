"""A manifest that somebody chose as a file: a CSV table, or JSON as the API takes it for a batch."""

from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.utils import json

from webapp.api.parsers import check_values
from webapp.cases.api.requests import BatchOptions
from webapp.cases.manifest.mistakes import RowError
from webapp.cases.manifest.reading import MAX_CSV_BYTES, Manifest, from_csv, from_json, of_request

NOT_JSON = "The manifest is no JSON in UTF-8 of the form that the API takes. Correct it and send it again."


def read_manifest(data: bytes, *, as_json: bool, capture: str) -> tuple[Manifest, str]:
    """The manifest, and the name that it gives its batch. What it says of `capture` holds before what is said here.

    Whether a ZIP comes is not read of it: one was chosen beside it, or none. Raises Problem `too_many_values`.
    """
    if not as_json or len(data) > MAX_CSV_BYTES:
        return from_csv(data, capture=capture), ""
    check_values(data)
    try:
        said = json.loads(data.decode("utf-8-sig"))
        if not isinstance(said, dict):
            return _not_json(), ""
        options = BatchOptions.read(said, partial=True)
    except (ValueError, RecursionError):
        return _not_json(), ""
    except ValidationError as wrong:
        told: Any = wrong.detail  # of each field what is wrong with it
        return Manifest(errors=[RowError(1, name, first.code, str(first)) for name, [first, *_] in told.items()]), ""
    found = from_json(said.get("cases") or None, capture=options.get("capture", capture))
    return of_request(found), options.get("name", "")


def _not_json() -> Manifest:
    return Manifest(errors=[RowError(1, "", "not_json", NOT_JSON)])
