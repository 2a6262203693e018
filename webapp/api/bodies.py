"""What every JSON body has in common: a name without a meaning is refused."""

from collections.abc import Mapping
from typing import Any, ClassVar

from rest_framework import serializers

MAX_UNKNOWN = 20  # that are named


class Body(serializers.Serializer[None]):
    """What a client sends. A name that is none of its fields was meant to say something, so it is not passed over."""

    also: ClassVar[tuple[str, ...]] = ()  # names whose values are read elsewhere

    def to_internal_value(self, data: Any) -> Any:
        known = [*self.fields, *self.also]
        if isinstance(data, Mapping) and (unknown := sorted(data.keys() - {*known})):
            told = serializers.ErrorDetail(f"Rename or remove it. Known are: {', '.join(known)}.", "unknown_field")
            raise serializers.ValidationError({name[:100]: [told] for name in unknown[:MAX_UNKNOWN]})
        return super().to_internal_value(data)
