"""How a clinic's software proves who it is: `Authorization: Bearer <key>`."""

from django.contrib.auth.models import AnonymousUser
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from webapp.accounts.models import ApiKey
from webapp.accounts.services import find_api_key
from webapp.errors import Problem


class ApiKeyAuthentication(BaseAuthentication):
    """Finds the API key of a request; `request.auth` is then the ApiKey."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, ApiKey] | None:
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            key = find_api_key(secret.strip())
        except Problem as problem:  # Django REST framework adds to its own error what scheme is asked for
            raise AuthenticationFailed(problem.message, problem.code) from problem
        if key is None:
            raise AuthenticationFailed("This API key is unknown or was revoked. Make a new one on the API keys page.")
        return AnonymousUser(), key

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Tells the OpenAPI document about the key."""

    target_class = ApiKeyAuthentication
    name = "ApiKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        told = "A key of the clinic. One that only reads is answered 403 `key_reads_only` to all but `GET`."
        return {"type": "http", "scheme": "bearer", "description": told}
