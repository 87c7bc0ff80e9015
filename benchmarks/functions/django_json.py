"""A Django application with one JSON view: path and query parameter."""

from __future__ import annotations

from typing import Any

from django.conf import settings  # type: ignore[import-untyped]  # Django has no types
from django.core.asgi import get_asgi_application  # type: ignore[import-untyped]
from django.http import JsonResponse  # type: ignore[import-untyped]
from django.urls import path  # type: ignore[import-untyped]

settings.configure(
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="of a benchmark",
)


async def read_item(request: Any, item_id: int) -> Any:
    tag = request.GET.get("tag", "none")
    return JsonResponse({"id": item_id, "name": "from Django", "tags": [tag]})


urlpatterns = [path("items/<int:item_id>", read_item)]
app = get_asgi_application()
