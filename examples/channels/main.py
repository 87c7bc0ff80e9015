"""A Django project whose protocols Channels routes, in one file."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

from channels.generic.http import AsyncHttpConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django import forms
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpResponseRedirect, JsonResponse
from django.urls import path, re_path, reverse
from django.views.static import serve

settings.configure(
    SECRET_KEY=os.environ.get("SECRET_KEY", "for development only"),
    ALLOWED_HOSTS=os.environ.get("ALLOWED_HOSTS", "*").split(","),
    ROOT_URLCONF=__name__,
)
STATIC = Path(__file__).parent / "static"

django_app = get_asgi_application()  # before anything that imports models

done = 0


def hello(request):
    return JsonResponse({"hello": "wörld"})


def echo(request, value):
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


class CountForm(forms.Form):
    """What /validate takes."""

    count = forms.IntegerField()


def validate(request):
    form = CountForm(request.GET)
    if not form.is_valid():
        return JsonResponse(form.errors, status=400)
    return JsonResponse(form.cleaned_data)


def error(request):
    raise RuntimeError("this is the example's unhandled error")


class Ticks(AsyncHttpConsumer):
    """A response in parts, which is what HTTP consumers are for."""

    content_type = "text/plain"
    template = "part {}\n"

    async def handle(self, body):
        """Send three parts."""
        await self.send_headers(headers=[(b"Content-Type", self.content_type.encode())])
        for number in range(3):
            await self.send_body(self.template.format(number).encode(), more_body=True)
            await asyncio.sleep(0.1)
        await self.send_body(b"")


class Events(Ticks):
    """The same as server-sent events."""

    content_type = "text/event-stream"
    template = "data: {}\n\n"


class Jobs(AsyncHttpConsumer):
    """Work that the client does not wait for."""

    async def handle(self, body):
        """Answer first, then work."""
        global done
        headers = [(b"Content-Type", b"application/json")]
        if self.scope["method"] == "GET":
            await self.send_response(200, b'{"done": %d}' % done, headers=headers)
            return
        await self.send_response(202, b"{}", headers=headers)
        await asyncio.sleep(0.1)
        done += 1


class Talk(AsyncWebsocketConsumer):
    """Greet, and say everything again."""

    async def connect(self):
        """The handshake."""
        await self.accept()
        await self.send("welcome")

    async def receive(self, text_data):
        """A message."""
        await self.send(text_data)

    async def disconnect(self, code):
        """The end."""
        print("the client left", flush=True)


urlpatterns = [
    path("json", hello),
    path("echo/<value>", echo),
    path("form", form),
    path("upload", upload),
    path("cookies", cookies),
    path("redirect", leave),
    path("validate", validate),
    path("error", error),
    re_path("^static/(?P<path>.*)$", serve, {"document_root": STATIC}),
]

app = ProtocolTypeRouter(
    {
        "http": URLRouter(
            [
                path("stream", Ticks.as_asgi()),
                path("sse", Events.as_asgi()),
                path("background", Jobs.as_asgi()),
                re_path("", django_app),
            ]
        ),
        "websocket": URLRouter([path("ws", Talk.as_asgi())]),
    }
)
