"""What every operation of the OpenAPI document has in common: its errors."""

from http import HTTPStatus
from typing import Any

PROBLEM = {
    "type": "object",
    "description": "An error (RFC 9457). `code` is stable and never renamed; `detail` says what to do.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "enum": ["about:blank"]},
        "title": {"type": "string", "description": "The status in words", "example": "Unprocessable Entity"},
        "status": {"type": "integer", "example": 422},
        "detail": {"type": "string", "example": "Nothing was stored. Correct the rows in `errors`."},
        "code": {"type": "string", "example": "manifest_invalid"},
        "errors": {
            "type": "array",
            "description": "Where several things are wrong. `row` counts from 1, in a manifest.",
            "items": {
                "type": "object",
                "required": ["field", "code", "message"],
                "properties": {
                    "row": {"type": "integer"},
                    "field": {"type": "string"},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
    },
    "additionalProperties": True,
}
COMMON = {
    "401": "No key, or one that is unknown, expired or revoked.",
    "403": "Not for this client. `key_reads_only`: the key only reads, and this would change something.",
    "429": "Too many requests: wait for the seconds in Retry-After.",
    "503": "A part of the service is away or busy: wait for the seconds in Retry-After.",
    "4XX": "Any other error of the request.",
}
CODES = {  # an example of each
    "401": "not_authenticated",
    "403": "permission_denied",
    "404": "not_found",
    "429": "throttled",
    "503": "unavailable",
}
NOT_FOUND = "There is none, for this client."


def describe_errors(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A post-processing hook of drf-spectacular: adds the errors to every operation."""
    result["components"].setdefault("schemas", {})["Problem"] = PROBLEM
    for address, operations in result["paths"].items():
        for operation in operations.values():
            errors = {**COMMON, **({"404": NOT_FOUND} if "{" in address else {})}
            for status, description in errors.items():
                operation["responses"].setdefault(status, _response(status, description))
            if table := operation["responses"].get("422"):  # where one was asked for
                operation["responses"]["422"] = _response("422", "Nothing was stored: `errors` lists each mistake.")
                operation["responses"]["422"]["content"] |= table["content"]
    return result


def _response(status: str, description: str) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/Problem"}}
    if status in CODES:
        content["example"] = {
            "type": "about:blank",
            "title": HTTPStatus(int(status)).phrase,
            "status": int(status),
            "detail": description,
            "code": CODES[status],
        }
    response: dict[str, Any] = {"description": description, "content": {"application/problem+json": content}}
    if status in ("429", "503"):
        response["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}}
    return response
