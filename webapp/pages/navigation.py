"""Where each role goes: the items of the header."""

from dataclasses import dataclass

from django.urls import reverse

from webapp.accounts.models import Membership

Role = Membership.Role
TO_REVIEW = "cases:to_review"

# (name of the address, words, icon)
ITEMS: dict[str, tuple[tuple[str, str, str], ...]] = {
    Role.PROVIDER.value: (
        (TO_REVIEW, "To review", "stethoscope"),
        ("cases:batches", "Batches", "stack-2"),
        ("cases:find", "Find", "search"),
        ("notify:messages", "Unsent messages", "mail"),
        ("accounts:api_keys", "API keys", "key"),
        ("webhooks:endpoints", "Webhooks", "send"),
        ("accounts:organisation", "Organisation", "building"),
        ("audit:events", "Audit", "history"),
    ),
    Role.ANNOTATOR.value: (("labels:queue", "Label queue", "tags"),),
    Role.OPERATOR.value: (
        ("models:releases", "Models", "cpu"),
        ("operations:queues", "Queues", "activity"),
        ("audit:events", "Audit", "history"),
    ),
    "administrator": (
        ("operations:queues", "Queues", "activity"),
        ("admin:index", "Administration", "settings"),
    ),
    "patient": (("patient:home", "My photos", "photo"),),
}


@dataclass(frozen=True)
class Item:
    """One item of the header."""

    address: str
    words: str
    icon: str
    current: bool
    counted: bool  # it says how much waits there


def home_of(role: str) -> str:
    """The name of the address where somebody with this role starts."""
    return ITEMS[role][0][0]


def navigation(role: str | None, path: str) -> list[Item]:
    """The header's items for a role; none for somebody who is not signed in."""
    items = [(reverse(name), words, icon, name == TO_REVIEW) for name, words, icon in ITEMS.get(role or "", ())]
    current = max((a for a, *_ in items if path.startswith(a)), key=len, default=None)
    return [Item(address, words, icon, address == current, counted) for address, words, icon, counted in items]
