"""What every JSON body has in common: a name without a meaning is refused."""

from collections.abc import Mapping
from typing import Any, ClassVar

from rest_framework import serializers

MAX_UNKNOWN = 20  # that are named


class Body(serializers.Serializer[None]):
    """What a client sends. A name that is none of its fields was meant to say something, so it is not passed over."""

    default_error_messages = {"invalid": "Send a JSON object: names with their values, in braces."}
    also: ClassVar[tuple[str, ...]] = ()  # names whose values are read elsewhere

    @classmethod
    def read(cls, data: Any, *, partial: bool = False) -> dict[str, Any]:
        """The values in a request's data, of which some may be left out if `partial`. Raises ValidationError."""
        body = cls(data=data, partial=partial)
        body.is_valid(raise_exception=True)
        return dict(body.validated_data)

    def to_internal_value(self, data: Any) -> Any:
        known = [*self.fields, *self.also]
        if isinstance(data, Mapping) and (unknown := sorted(data.keys() - {*known})):
            told = serializers.ErrorDetail(f"Rename or remove it. Known are: {', '.join(known)}.", "unknown_field")
            raise serializers.ValidationError({name[:100]: [told] for name in unknown[:MAX_UNKNOWN]})
        return super().to_internal_value(data)
