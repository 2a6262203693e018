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
# How often, in what time: by network (ip), and by address (key). Where it is by address alone, whoever knows an address
# can use up what its owner has; so one network has a part of it.
LIMITS = {
    "login_failed": "10/m/ip,5/5m/key,10/h/key",  # of an address in one network
    "login_failed_anywhere": "30/h/key",
    "request_login_code": "20/m/ip,30/h/key",
    "request_login_code_in_network": "3/m/key,15/h/key",
    "reset_password": "20/m/ip,5/m/key,30/h/key",
}
