"""What every page knows."""

from django.http import HttpRequest

from webapp.accounts.middleware import TOLD, lacks_second_factor
from webapp.cases.selectors import review_count
from webapp.pages.navigation import Item, Role, navigation


def site(request: HttpRequest) -> dict[str, object]:
    """The role of who is looking, None for somebody who is not signed in; the navigation for that role; and what they
    must do first, for the pages of their account to say. What is counted is asked for by the pages that show it.
    """
    user = getattr(request, "user", None)
    role: str | None = user.role if user is not None and user.is_authenticated else None
    items: list[Item] = navigation(role, request.path)
    return {
        "role": role,
        "navigation": items,
        "to_review": lambda: review_count(user.membership.organisation) if user and role == Role.PROVIDER else "",
        "duty": lambda: TOLD if user and lacks_second_factor(user) else "",
    }
