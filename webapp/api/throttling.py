"""Rate limits: by API key, by person, by address for everybody else."""

from typing import TYPE_CHECKING

import structlog
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from webapp.accounts.models import ApiKey

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which itself imports the throttles of the settings

logger = structlog.get_logger(__name__)


class PerClient(SimpleRateThrottle):
    """One allowance for each client; the answer beyond it is 429 with Retry-After."""

    scope = "client"

    def allow_request(self, request: Request, view: "APIView") -> bool:
        if not isinstance(request.auth, ApiKey) and not request.user.is_authenticated:
            self.rate = self.get_rate_of("anonymous")
            self.num_requests, self.duration = self.parse_rate(self.rate)
        try:
            return bool(super().allow_request(request, view))
        except (RedisError, OSError) as error:
            # Counting is not worth an outage: while Redis is away, nobody is limited.
            logger.warning("throttle_unavailable", error=type(error).__name__)
            return True

    def get_rate_of(self, scope: str) -> str | None:
        return self.THROTTLE_RATES[scope]

    def get_cache_key(self, request: Request, view: "APIView") -> str:
        if isinstance(request.auth, ApiKey):
            return f"throttle:key:{request.auth.pk}"
        if request.user.is_authenticated:
            return f"throttle:user:{request.user.pk}"
        return f"throttle:address:{self.get_ident(request)}"
