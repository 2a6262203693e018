"""Another clinic at a running service."""

from deploy.local.stack import Stack

NEW_CLINIC = """
from webapp.accounts.models import Organisation
from webapp.accounts.services import create_api_key
from webapp.audit.services import SYSTEM
organisation = Organisation.objects.create(name={name!r}, slug={name!r})
print(create_api_key(actor=SYSTEM, organisation=organisation, name="API")[1])
"""


def new_clinic(stack: Stack, name: str) -> str:
    """Make an organisation of this name, which must be a slug; gives an API key of its software."""
    return stack.manage("shell", "--no-imports", "--command", NEW_CLINIC.format(name=name)).strip()
