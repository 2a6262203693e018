"""A clinic's software, as the tests play it: the API through Django's test client, with a key."""

from typing import Any

from django.test import Client
from urllib3.util import parse_url

from tests.factories import api_key
from tests.webapp.api.document import check
from webapp.accounts.models import Organisation

API = "/api/v1"


class Clinic:
    """Speaks to the API with a key of its own organisation."""

    def __init__(self, organisation: Organisation | None = None) -> None:
        self.key, secret = api_key(**({"organisation": organisation} if organisation else {}))
        self.organisation = self.key.organisation
        self.http = Client(headers={"Authorization": f"Bearer {secret}"}, enforce_csrf_checks=True)

    def get(self, path: str, **query: Any) -> Any:
        return self.http.get(API + path, query)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.http.post(API + path, {} if body is None else body, "application/json", headers=headers)

    def create(self, *cases: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """A new batch, as the API answers it."""
        return dict(good(self.post("/batches", {"cases": list(cases), **fields}), 201))

    def upload(self, image: dict[str, Any], data: bytes) -> None:
        """Send an image's bytes where it was told to, and complete it."""
        target = image["upload"]
        url = parse_url(target["url"])
        length = {"CONTENT_LENGTH": str(len(data))}  # Django's client says none of an empty body
        response = self.http.put(url.request_uri, data, "application/octet-stream", **length)  # type: ignore[arg-type]
        assert response.status_code == 204, response.content
        good(self.post(f"/images/{image['id']}/complete"))


def good(response: Any, status: int = 200) -> Any:
    """The JSON of an answer that must have this status, and be what the API's document says."""
    assert response.status_code == status, response.content
    check(response)
    return response.json()


def problem(response: Any, status: int) -> dict[str, Any]:
    """The problem that an answer must be."""
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"] == "application/problem+json"
    body = dict(response.json())
    assert {"type", "title", "status", "detail", "code"} <= body.keys()
    assert body["status"] == status
    return body


def case(name: str = "case-1", *images: str, **fields: Any) -> dict[str, Any]:
    """A row of a manifest."""
    return {"case_id": name, "patient_id": "patient-1", "images": list(images) or [f"{name}.jpg"], **fields}


def send_table(clinic: Clinic, table: str, path: str = "/batches?name=Monday&capture=phone", **headers: str) -> Any:
    """Send a manifest as CSV."""
    headers["Content-Type"] = "text/csv; charset=utf-8"  # the client leaves it out where the body is empty
    return clinic.http.post(API + path, table.encode(), headers["Content-Type"], headers=headers)
