"""The settings that the chat needs; `django-admin startproject` writes more."""

from __future__ import annotations

import os

SECRET_KEY = os.environ.get("SECRET_KEY", "for development only")
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "127.0.0.1,localhost").split(",")

INSTALLED_APPS = [
    "chat",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
]
MIDDLEWARE = ["django.middleware.security.SecurityMiddleware"]
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"  # there is no database
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
ROOT_URLCONF = "mysite.urls"
ASGI_APPLICATION = "mysite.asgi.application"

# The one line that is not the tutorial's: groups are in the connection store.
CHANNEL_LAYERS = {"default": {"BACKEND": "lamella.channels.ConnectionsChannelLayer"}}
