"""The OpenAPI document: drawn without a warning, true, and read without the internet."""

import re

import pytest
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no types

from tests.webapp.api.clinic import Clinic

pytestmark = pytest.mark.django_db


def test_the_document_is_drawn_without_a_warning_and_is_valid() -> None:
    with GENERATOR_STATS.silence():
        document = SchemaGenerator().get_schema(request=None, public=True)
        assert not GENERATOR_STATS._warn_cache
        assert not GENERATOR_STATS._error_cache
    validate_schema(document)


def test_every_operation_names_its_errors_and_its_key() -> None:
    document = SchemaGenerator().get_schema(request=None, public=True)
    assert len(document["paths"]) > 15
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["responses"].keys() >= {"401", "429", "4XX"}, path
            assert "summary" in operation or path == "/api/v1/", path
            for response in operation["responses"].values():
                if "application/problem+json" in response.get("content", {}):
                    schema = response["content"]["application/problem+json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/Problem"}
            assert any("ApiKey" in way for way in operation.get("security", [])) or path == "/api/v1/", path


def test_an_operation_says_what_it_takes_and_answers() -> None:
    """What clients that are made from the document were wrong about."""
    document = SchemaGenerator().get_schema(request=None, public=True)
    paths, schemas = document["paths"], document["components"]["schemas"]
    photos = paths["/api/v1/cases/{id}/photos"]["delete"]["responses"]
    assert photos["200"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/CaseDetail"}
    assert "204" not in photos
    tables = {path for path, found in paths.items() if "text/csv" in str(found.get("post", {}).get("requestBody"))}
    assert tables == {"/api/v1/batches", "/api/v1/batches/{id}/cases"}
    for path in tables:
        content = paths[path]["post"]["responses"]["422"]["content"]
        assert [*content] == ["application/problem+json", "text/csv"]  # the usual one first
    for name in ("Batch", "BatchDetail", "CaseDetail", "CaseImage", "Image", "Archive", "Endpoint", "Delivery"):
        assert {*schemas[name]["required"]} == schemas[name]["properties"].keys(), name
    sizes = [p["schema"] for p in paths["/api/v1/cases"]["get"]["parameters"] if p["name"] == "page_size"]
    assert sizes == [{"type": "integer", "minimum": 1, "maximum": 500, "default": 50}]
    assert "304" in paths["/api/v1/images/{id}/heatmap"]["get"]["responses"]
    names = [operation["operationId"] for found in paths.values() for operation in found.values()]
    assert all(re.fullmatch(r"\w+", name) for name in names)


def test_what_is_sent_unless_it_is_said_can_be_sent() -> None:
    document = SchemaGenerator().get_schema(request=None, public=True)
    everything = Draft202012Validator({"components": document["components"]})
    for name, schema in document["components"]["schemas"].items():
        for field, each in schema.get("properties", {}).items():
            if each.get("default") is not None:
                assert everything.evolve(schema=each).is_valid(each["default"]), (name, field)


def test_the_example_of_a_manifest_is_taken() -> None:
    document = SchemaGenerator().get_schema(request=None, public=True)
    content = document["paths"]["/api/v1/batches"]["post"]["requestBody"]["content"]["application/json"]
    [example] = content["examples"].values()
    made = Clinic().create(*example["value"]["cases"], name=example["value"]["name"])
    assert [image["filename"] for image in made["images"]] == ["a1.jpg", "a1 detail.jpg", "b1.jpg"]


def test_the_docs_load_nothing_from_elsewhere_and_lead_back_and_to_the_document(client: Client) -> None:
    page = client.get("/api/v1/docs").content.decode()
    links = re.findall(r"""<a [^>]*href=["']([^"']+)""", page)
    assert set(links) == {"#swagger-ui", "/", "/api/v1/schema"}
    sources = re.findall(r"""(?:src|href)=["']([^"']+)""", page)
    assert len(sources) > len(links)
    assert all(source.startswith("/static/") for source in sources if source not in links)
    assert '<html lang="en-GB">' in page
    assert "<h1>LesionLens API</h1>" in page.split("<noscript>")[0].split("<header")[1]  # with scripts as without
    assert "your browser runs none" in page.split("<noscript><main")[1].split("</main></noscript>")[0]
