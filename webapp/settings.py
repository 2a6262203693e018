"""Settings, from the environment, with defaults that work on one machine. docs/settings.md has them all."""

from pathlib import Path

from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from webapp.accounts.sign_in import FORMS, LIMITS, PASSWORD_VALIDATORS
from webapp.environment import CENTURY, WEEK, YEAR, Environment
from webapp.logs import LEVELS, logging_config
from webapp.s3 import client_config

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".local"

env = Environment()

DEBUG = env.bool("DEBUG", False)
LOCAL = env.bool("LOCAL", False)
SITE_URL = env.str("SITE_URL", "http://127.0.0.1:8000").rstrip("/")
SECRET_KEY = env.str("SECRET_KEY", "")
if not SECRET_KEY:
    if not LOCAL or SITE_URL.startswith("https://"):
        raise ImproperlyConfigured("Set SECRET_KEY to a long random string, or LOCAL=1 on a developer's own machine.")
    SECRET_KEY = "only-for-one-machine-never-for-a-clinic-0123456789"  # noqa: S105
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[SITE_URL])
# How many proxies of ours stand before the site: limits on sign-in count by the address that these forward.
TRUSTED_PROXIES = env.whole("TRUSTED_PROXIES", int(SITE_URL.startswith("https://")), least=0, most=100)

INSTALLED_APPS = [
    "webapp.pages",  # first, so that its templates stand before allauth's
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "csp",
    "webapp.accounts",
    "webapp.cases",
    "webapp.patients",
    "webapp.inference",
    "webapp.labels",
    "webapp.registry",
    "webapp.notify",
    "webapp.webhooks",
    "webapp.audit",
    "webapp.operations",
    "webapp.reports",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "webapp.operations.middleware.RequestMetrics",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "webapp.accounts.middleware.SmallForStrangers",  # before what reads whole bodies
    "webapp.operations.middleware.RoomForBodies",  # the same
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "webapp.accounts.middleware.SecondFactor",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "webapp.urls"
WSGI_APPLICATION = "webapp.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.User"
FORMAT_MODULE_PATH = "webapp.pages.formats"
TIME_ZONE = env.time_zone("TIME_ZONE", "UTC")
LANGUAGE_CODE = "en-gb"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "webapp.pages.context.site",
            ],
        },
    }
]

# Postgres and Redis

DATABASES = {"default": env.database("DATABASE_URL", "postgres://lesionlens@127.0.0.1:5432/lesionlens")}
DATABASES["default"]["CONN_MAX_AGE"] = 60
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
REDIS_URL = env.broker("REDIS_URL", "redis://127.0.0.1:6379/0")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL.replace("redis+socket://", "unix://").replace("virtual_host=", "db="),
        "KEY_PREFIX": "lesionlens",
    }
}
SESSION_ENGINE = "django.contrib.sessions.backends.db"  # a flushed Redis signs nobody out

# Object storage: a local folder, or any S3 server

STORAGE_BUCKET = env.str("S3_BUCKET", "")
S3_ENDPOINT_URL = env.str("S3_ENDPOINT_URL", "")  # empty: Amazon's of the region
# Where browsers and clinics reach the S3 server, when that differs from how this process reaches it.
S3_PUBLIC_ENDPOINT_URL = env.str("S3_PUBLIC_ENDPOINT_URL", "")
S3_ADDRESSING_STYLE = env.one_of("S3_ADDRESSING_STYLE", "path", ("path", "virtual", "auto"))
if STORAGE_BUCKET:
    MEDIA_STORAGE = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": STORAGE_BUCKET,
            "endpoint_url": S3_ENDPOINT_URL or None,
            "region_name": env.str("S3_REGION", "us-east-1"),
            "access_key": env.str("S3_ACCESS_KEY", None),
            "secret_key": env.str("S3_SECRET_KEY", None),
            "client_config": client_config(addressing=S3_ADDRESSING_STYLE),
            "file_overwrite": True,
            "default_acl": None,
        },
    }
else:
    MEDIA_STORAGE = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": env.str("STORAGE_FOLDER", str(STATE / "storage")), "allow_overwrite": True},
    }
STORAGES = {
    "default": MEDIA_STORAGE,
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
# Which origin a page may send an archive to, straight.
UPLOAD_ORIGIN = S3_PUBLIC_ENDPOINT_URL or S3_ENDPOINT_URL or "https://*.amazonaws.com"
if S3_ADDRESSING_STYLE != "path" and "*" not in UPLOAD_ORIGIN:  # the bucket's name stands before the server's
    UPLOAD_ORIGIN = UPLOAD_ORIGIN.replace("://", f"://{STORAGE_BUCKET}.")
STATIC_URL = "static/"
STATIC_ROOT = env.str("STATIC_ROOT", str(STATE / "static"))

# Intake and leases

UPLOAD_MAX_BYTES = 25 * 1024 * 1024
UPLOAD_URL_SECONDS = env.whole("UPLOAD_URL_SECONDS", 3600, least=1, most=WEEK)
UPLOAD_EXPIRES_HOURS = env.whole("UPLOAD_EXPIRES_HOURS", 24, least=1, most=24 * CENTURY)
DATA_UPLOAD_MAX_MEMORY_SIZE = 32 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FILES = 1000
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
LEASE_SECONDS = env.whole("LEASE_SECONDS", 120, least=1, most=3600)
MAX_ATTEMPTS = env.whole("MAX_ATTEMPTS", 5, least=1, most=1000)
INFERENCE_BATCH = env.whole("INFERENCE_BATCH", 32, least=0, most=4096)
IMPORT_MAX_BYTES = env.whole("IMPORT_MAX_BYTES", 2 * 1024**3, least=1, most=1024**4)

# Models

BUNDLE = env.str("BUNDLE", "")  # the bundle registered first; empty: the one that ships
BUNDLE_FOLDER = env.str("BUNDLE_FOLDER", str(STATE / "bundles"))
RUNTIME_CACHE = env.str("RUNTIME_CACHE", str(STATE / "runtime"))
RETRAIN_AFTER_LABELS = env.whole("RETRAIN_AFTER_LABELS", 500, least=1, most=10**9)
RETRAIN_EPOCHS = env.whole("RETRAIN_EPOCHS", 3, least=1, most=1000)
RETRAIN_MEMBERS = env.list("RETRAIN_MEMBERS", default=[])  # empty: the bundle's first member
TRAINING_SECONDS = env.whole("TRAINING_SECONDS", 6 * 3600, least=1, most=YEAR)  # a run that takes longer is stopped
TRAINING_NICENESS = env.whole("TRAINING_NICENESS", 10, least=0, most=19)  # 0: as much of the processor as all others
GATE_MARGIN = env.share("GATE_MARGIN", 0.05)  # the loss of sensitivity that a candidate may have
# Malignant and benign each, or more where a margin needs more.
GATE_MIN_LESIONS = env.whole("GATE_MIN_LESIONS", 30, least=1, most=10**6)

# Mail: a local folder, or SMTP

if env.str("EMAIL_URL", ""):
    vars().update(env.mail("EMAIL_URL"))
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = env.str("MAILBOX_FOLDER", str(STATE / "mailbox"))
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = env.str("FROM_EMAIL", "LesionLens <no-reply@lesionlens.example>")
RESULT_LINK_DAYS = env.whole("RESULT_LINK_DAYS", 30, least=1, most=CENTURY)

# Webhooks

WEBHOOK_ALLOW_PRIVATE = env.bool("WEBHOOK_ALLOW_PRIVATE", LOCAL)  # loopback and intranets, also without https
WEBHOOK_KEEP_DAYS = env.whole("WEBHOOK_KEEP_DAYS", 30, least=1, most=CENTURY)

# Login: e-mail and password with TOTP, or a code by e-mail

AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = PASSWORD_VALIDATORS
SILENCED_SYSTEM_CHECKS = ["auth.W004"]  # addresses are unique, whatever their case
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
# Anybody may sign up, and is a patient until a clinic makes them a member.
ACCOUNT_SIGNUP_FIELDS = ["email*"]  # no password until the address is proved: nobody can set one on another's
ACCOUNT_ADAPTER = "webapp.accounts.adapter.Adapter"
ACCOUNT_FORMS = FORMS
ACCOUNT_RATE_LIMITS = LIMITS
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_LOGIN_BY_CODE_ENABLED = ACCOUNT_LOGIN_BY_CODE_SUPPORTS_RESEND = True
ACCOUNT_LOGIN_BY_CODE_TIMEOUT = 15 * 60
ACCOUNT_EMAIL_SUBJECT_PREFIX = "LesionLens: "
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "LesionLens"
MFA_ADAPTER = "webapp.accounts.second_factor.SecondFactorAdapter"
REQUIRE_SECOND_FACTOR = env.one_of("REQUIRE_SECOND_FACTOR", "0", ("0", "1")) == "1"  # of all but patients
LOGIN_REDIRECT_URL = ACCOUNT_LOGOUT_REDIRECT_URL = "pages:home"
LOGIN_URL = "account_login"
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXIES

# API

API_RATES = {"client": env.rate("API_RATE", "6000/minute"), "anonymous": (60, 60)}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "webapp.accounts.authentication.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["webapp.accounts.permissions.Nobody"],  # every view says who may enter
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["webapp.api.parsers.BoundedJSON"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "webapp.api.negotiation.OneFormat",
    "DEFAULT_PAGINATION_CLASS": "webapp.api.pagination.NewestFirst",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": ["webapp.api.throttling.PerClient"],
    "NUM_PROXIES": TRUSTED_PROXIES,
    "EXCEPTION_HANDLER": "webapp.api.problems.problem_response",
    "DEFAULT_VERSIONING_CLASS": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "LesionLens API",
    "VERSION": "1",
    "DESCRIPTION": "Submit batches of skin-lesion cases and collect triage support. It supports a professional's "
    "decision; it never replaces one.",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "webapp.api.schema.describe_errors"],
    "ENUM_NAME_OVERRIDES": {
        "BatchState": "webapp.cases.models.Batch.State",
        "ImageState": "webapp.cases.models.Image.State",
        "ArchiveState": "webapp.cases.models.Archive.State",
        "Capture": "webapp.cases.models.Case.Capture",
        "WebhookState": "webapp.webhooks.models.Endpoint.State",
        "DeliveryState": "webapp.webhooks.models.Delivery.State",
        "EventType": "webapp.webhooks.models.EventType",
        "Advice": "webapp.inference.models.ADVICE_CHOICES",
    },
}

# Security

SECURE_REFERRER_POLICY = "same-origin"
CSRF_FAILURE_VIEW = "webapp.pages.views.csrf_failure"
SESSION_COOKIE_SAMESITE = "Lax"
if SITE_URL.startswith("https://"):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_HSTS_SECONDS = 31_536_000
CONTENT_SECURITY_POLICY = {
    "EXCLUDE_URL_PREFIXES": ("/api/v1/docs",),
    "DIRECTIVES": {
        "default-src": [SELF],
        "connect-src": [SELF, *([UPLOAD_ORIGIN] if STORAGE_BUCKET else [])],
        "img-src": [SELF, "data:", "blob:"],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, "'unsafe-inline'"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    },
}
METRICS_TOKEN = env.str("METRICS_TOKEN", "")  # empty: /metrics answers on loopback only

LOGGING_CONFIG = None
logging_config(json=env.bool("LOG_JSON", not DEBUG), level=env.one_of("LOG_LEVEL", "INFO", LEVELS))
