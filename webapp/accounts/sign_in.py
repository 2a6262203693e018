"""What django-allauth is told of signing in that is no matter of where the site runs."""

_FORMS = "webapp.accounts.forms"
FORMS = {
    "add_email": f"{_FORMS}.AddressForm",
    "login": f"{_FORMS}.PasswordLoginForm",
    "request_login_code": f"{_FORMS}.CodeForm",
    "reset_password": f"{_FORMS}.ForgottenPasswordForm",
    "signup": f"{_FORMS}.NewAccountForm",
}
_VALIDATORS = "django.contrib.auth.password_validation"
PASSWORD_VALIDATORS = [
    {"NAME": f"{_VALIDATORS}.UserAttributeSimilarityValidator"},
    {"NAME": f"{_VALIDATORS}.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": f"{_VALIDATORS}.CommonPasswordValidator"},
]
