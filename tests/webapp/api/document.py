"""Whether an answer is what the OpenAPI document says of its address, as a client that is made from it would find."""

import re
from functools import lru_cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no types


def check(response: Any) -> None:
    """Raises AssertionError where the document has no such answer, or another."""
    method, address = response.request["REQUEST_METHOD"].lower(), "/" + response.resolver_match.route
    path = re.sub(r"<\w+:(\w+)>", lambda found: "{id}" if found[1] == "pk" else f"{{{found[1]}}}", address)
    for error in answer_of(path, method, response.status_code).iter_errors(response.json()):
        raise AssertionError(f"{method} {path}: {error.json_path} {error.message}")


def answer_of(path: str, method: str, status: int) -> Draft202012Validator:
    """What the document says of the JSON of an answer. Raises AssertionError where it has none."""
    answers = _document()["paths"][path][method]["responses"]
    assert str(status) in answers, f"{method} {path} answers {status}: not documented"
    return _validator().evolve(schema=answers[str(status)]["content"]["application/json"]["schema"])


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    return _with_null(SchemaGenerator().get_schema(request=None, public=True))


@lru_cache(maxsize=1)
def _validator() -> Draft202012Validator:
    return Draft202012Validator({"components": _document()["components"]})


def _with_null(schema: Any) -> Any:
    """OpenAPI 3.0 as JSON Schema: what is `nullable` may be null."""
    if isinstance(schema, list):
        return [_with_null(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _with_null(each) for name, each in schema.items()}
    return {"anyOf": [plain, {"type": "null"}]} if plain.pop("nullable", False) is True else plain
