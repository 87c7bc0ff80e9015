"""A Django project in one file; ASGI_APP would be mysite.asgi:application in a larger one."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

from django import forms
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.templatetags.static import static
from django.urls import path, reverse

settings.configure(
    SECRET_KEY=os.environ.get("SECRET_KEY", "for development only"),
    ALLOWED_HOSTS=os.environ.get("ALLOWED_HOSTS", "*").split(","),
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["whitenoise.middleware.WhiteNoiseMiddleware"],
    STATIC_ROOT=Path(__file__).parent / "static",
    STATIC_URL=os.environ.get("STATIC_URL", "/static/"),  # as clients see it: /prod/static/
    WHITENOISE_STATIC_PREFIX="/static/",  # as Django sees it, stage and base path taken off
)

done = 0
tasks = set()


class CountForm(forms.Form):
    """What /validate takes."""

    count = forms.IntegerField()


async def hello(request):
    return JsonResponse({"hello": "wörld"})


async def echo(request, value):
    return JsonResponse({"value": value, "q": request.GET["q"]})


def form(request):
    return JsonResponse({"name": request.POST["name"]})


def upload(request):
    file = request.FILES["file"]
    data = file.read()
    digest = hashlib.sha256(data).hexdigest()
    return JsonResponse({"filename": file.name, "size": len(data), "sha256": digest})


def cookies(request):
    response = JsonResponse({})
    response.set_cookie("first", "1")
    response.set_cookie("second", "2")
    return response


def leave(request):
    return HttpResponseRedirect(request.build_absolute_uri(reverse(hello)))


def linked(request):
    return JsonResponse({"file": static("hello.txt")})


def validate(request):
    form = CountForm(request.GET)
    if not form.is_valid():
        return JsonResponse(form.errors, status=400)
    return JsonResponse(form.cleaned_data)


def error(request):
    raise RuntimeError("this is the example's unhandled error")


async def ticks(template):
    for number in range(3):
        yield template.format(number)
        await asyncio.sleep(0.1)


async def stream(request):
    return StreamingHttpResponse(ticks("part {}\n"), content_type="text/plain")


async def sse(request):
    return StreamingHttpResponse(ticks("data: {}\n\n"), content_type="text/event-stream")


async def jobs(request):
    if request.method == "GET":
        return JsonResponse({"done": done})
    task = asyncio.create_task(job())
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return JsonResponse({}, status=202)


async def job():
    """Work that the client does not wait for."""
    await asyncio.sleep(0.1)
    global done
    done += 1


urlpatterns = [
    path("json", hello),
    path("echo/<value>", echo),
    path("form", form),
    path("upload", upload),
    path("cookies", cookies),
    path("redirect", leave),
    path("linked", linked),
    path("validate", validate),
    path("error", error),
    path("stream", stream),
    path("sse", sse),
    path("background", jobs),
]

app = get_asgi_application()
