"""Settings with which Django's own tests run against the database that PG* variables name."""

import os

_WHERE = {
    "ENGINE": "django.db.backends.postgresql",
    "HOST": os.environ["PGHOST"],
    "PORT": os.environ["PGPORT"],
    "USER": os.environ["PGUSER"],
    "PASSWORD": os.environ["PGPASSWORD"],
    # The tests' own switch for what their author's server sets up beside the suite.
    "OPTIONS": {},
}
_NAME = os.environ["PGDATABASE"]

DATABASES = {
    "default": {**_WHERE, "NAME": _NAME, "TEST": {"NAME": _NAME}},
    "other": {**_WHERE, "NAME": f"{_NAME}_other", "TEST": {"NAME": f"{_NAME}_other"}},
}
SECRET_KEY = "django_tests_secret_key"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
TEST_RUNNER = "suite_runner.Runner"
