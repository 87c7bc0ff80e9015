import asyncio

from django.db import connection
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path


async def item(request, number):
    return JsonResponse({"item": number, "q": request.GET.get("q"), "host": request.get_host()})


def rows(request):
    """A synchronous view, which Django runs in a thread, with the database."""
    with connection.cursor() as cursor:
        cursor.execute("create table if not exists visit (id integer primary key)")
        cursor.execute("insert into visit default values")
        cursor.execute("select count(*) from visit")
        return JsonResponse({"visits": cursor.fetchone()[0]})


def form(request):
    response = HttpResponse(request.POST["name"], content_type="text/plain")
    response.set_cookie("first", "1")
    response.set_cookie("second", "2")
    return response


async def ticks(request):
    async def lines():
        for number in range(3):
            yield f"data: {number}\n\n"
            await asyncio.sleep(0.05)

    return StreamingHttpResponse(lines(), content_type="text/event-stream")


async def fail(request):
    raise RuntimeError("the shop is closed")


urlpatterns = [
    path("items/<int:number>", item),
    path("rows", rows),
    path("form", form),
    path("ticks", ticks),
    path("fail", fail),
]
