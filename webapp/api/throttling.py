"""Rate limits: by API key, by person, by address for everybody else; and by organisation where it has a limit."""

from functools import lru_cache
from typing import TYPE_CHECKING

import structlog
from django.conf import settings
from django.core.cache import cache
from redis import Redis
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from webapp.accounts.models import ApiKey, Membership, Organisation

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which itself imports the throttles of the settings

logger = structlog.get_logger(__name__)
A_MINUTE = 60
REDIS_SECONDS = 1  # each request waits so long for a Redis that hangs


class PerClient(BaseThrottle):
    """One allowance for each client, counted from its first request on; the answer beyond it is 429 with Retry-After.

    A counter for each client that Redis itself forgets, in one call: a list of the times of its requests, as DRF keeps
    one, would be read and written whole at each of thousands.
    """

    RATES = settings.API_RATES

    def allow_request(self, request: Request, view: "APIView") -> bool:
        self._wait = 0.0
        try:
            return all(self._allows(*allowance) for allowance in self._allowances(request))
        except (RedisError, OSError) as error:
            # Counting is not worth an outage: while Redis is away, nobody is limited.
            logger.warning("throttle_unavailable", error=type(error).__name__)
            return True

    def wait(self) -> float:
        """Seconds until the client may ask again."""
        return self._wait

    def _allowances(self, request: Request) -> list[tuple[str, int, int]]:
        """Under which name the request is counted, and how many there may be in how many seconds."""
        if isinstance(request.auth, ApiKey):
            return [(f"throttle:key:{request.auth.pk}", *self.RATES["client"]), *_together(request.auth.organisation)]
        if request.user.is_authenticated:  # the scripts of pages ask with their session
            own = (f"throttle:user:{request.user.pk}", *self.RATES["client"])
            membership: Membership | None = getattr(request.user, "membership", None)
            return [own, *_together(membership.organisation)] if membership else [own]
        return [(f"throttle:address:{self.get_ident(request)}", *self.RATES["anonymous"])]

    def _allows(self, name: str, limit: int, seconds: int) -> bool:
        key, redis = cache.make_key(name), _redis(settings.CACHES["default"]["LOCATION"])
        with redis.pipeline() as calls:
            calls.set(key, 0, ex=seconds, nx=True)
            calls.incr(key)
            calls.pttl(key)
            _, count, left = calls.execute()
        if left < 0:  # it was counted up in the moment in which it was forgotten
            redis.expire(key, seconds)
        if count <= limit:
            return True
        self._wait = max(self._wait, left / 1000, 1)
        return False


def _together(organisation: Organisation) -> list[tuple[str, int, int]]:
    """The allowance that an organisation's software and people share, where it has a limit."""
    limit = organisation.requests_a_minute
    return [] if limit is None else [(f"throttle:organisation:{organisation.pk}", limit, A_MINUTE)]


@lru_cache(maxsize=1)
def _redis(address: str) -> Redis:
    """A client of the cache's Redis that is kept: the cache makes one for each call, and sends calls one by one."""
    return Redis.from_url(address, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS)
