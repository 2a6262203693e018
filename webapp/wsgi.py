"""The site as a WSGI application."""

import gc
import os
from importlib import import_module

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")

from webapp.api.chunked import with_length

application = with_length(get_wsgi_application())

# A full garbage collection holds up all threads, and comes with some twenty lists: it need not look at what stays.
import_module("webapp.urls")  # every page, of which Django imports most with the first request
gc.collect()
gc.freeze()
