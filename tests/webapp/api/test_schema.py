"""The OpenAPI document: drawn without a warning, true, and read without the internet."""

import re

import pytest
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

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
            assert any("API key" in way for way in operation.get("security", [])) or path == "/api/v1/", path


def test_the_docs_load_nothing_from_elsewhere(client: Client) -> None:
    page = client.get("/api/v1/docs").content.decode()
    sources = re.findall(r"""(?:src|href)=["']([^"']+)""", page)
    assert sources
    assert all(source.startswith("/static/") for source in sources)
