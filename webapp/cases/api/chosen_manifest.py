"""A manifest that somebody chose as a file: a CSV table, or JSON as the API takes it for a batch."""

from typing import Any

from rest_framework.exceptions import ParseError, ValidationError

from webapp.api.parsers import check_values, read_json
from webapp.cases.api.requests import BatchOptions
from webapp.cases.manifest.mistakes import RowError
from webapp.cases.manifest.reading import MAX_CSV_BYTES, Manifest, from_csv, from_json, of_request

NO_OBJECT = "The manifest is no JSON of the form that the API takes: an object with `cases`."


def read_manifest(data: bytes, *, as_json: bool, capture: str) -> tuple[Manifest, str]:
    """The manifest, and the name that it gives its batch. What it says of `capture` holds before what is said here.

    Whether a ZIP comes is not read of it: one was chosen beside it, or none. Raises Problem `too_many_values`.
    """
    if not as_json or len(data) > MAX_CSV_BYTES:
        return from_csv(data, capture=capture), ""
    check_values(data)
    try:
        said = read_json(data)
        if not isinstance(said, dict):
            raise ParseError(NO_OBJECT)
        options = BatchOptions.read(said, partial=True)
    except ParseError as wrong:
        return Manifest(errors=[RowError(1, "", "not_json", str(wrong.detail))]), ""
    except ValidationError as wrong:
        told: Any = wrong.detail  # of each field what is wrong with it
        return Manifest(errors=[RowError(1, name, first.code, str(first)) for name, [first, *_] in told.items()]), ""
    found = from_json(said.get("cases"), capture=options.get("capture", capture))
    return of_request(found), options.get("name", "")
