"""The console's pages, and the one thing that they do: send an event.

A page of another site could post a form to this one. The Origin header says so, which every
browser sends with a form; such a request is refused.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl

import jinja2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from lamella.front_doors.delivery import Throttled
from lamella.front_doors.door import MAX_EVENT
from lamella.local.console.journal import Journal, Record, Watched
from lamella.local.console.reading import shown, status, summary
from lamella.local.endpoints.gateway import body_of
from lamella.local.events.samples import SAMPLES

TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("lamella.local.console"), autoescape=True, trim_blocks=True,
    lstrip_blocks=True,
)  # fmt: skip

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

SILENCE = 15.0
"""Seconds after which a waiting page hears that nothing has changed."""

GRAPH_WIDTH, GRAPH_HEIGHT = 120, 24


class Console:
    """`app` is the ASGI application."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._names = [function.config.name for function in journal.functions]
        self._closing = asyncio.Event()
        self.app = Starlette(
            routes=[
                Route("/", self._list),
                Route("/changes", self._changes),
                Route("/invocations/{number:int}", self._invocation),
                Route("/send", self._form),
                Route("/send", self._send, methods=["POST"]),
                Route("/{name}.{kind}", asset),
            ]
        )

    def close(self) -> None:
        """End the streams of changes: a server waits for them."""
        self._closing.set()

    async def _list(self, request: Request) -> Response:
        words = request.query_params.get("q", "")
        failed = request.query_params.get("failed") == "on"
        rows = [row(record) for record in reversed(self._journal.records)]
        found = [
            each
            for each in rows
            if (not failed or each["failed"]) and words.lower() in each["searched"].lower()
        ]
        environments = [graph(watched) for watched in self._journal.watched.values()]
        return self._page(
            "list.html", rows=found, hidden=len(rows) - len(found), words=words, failed=failed,
            environments=environments,
        )  # fmt: skip

    async def _invocation(self, request: Request) -> Response:
        record = self._journal.find(request.path_params["number"])
        if record is None:
            return self._page("gone.html", status_code=404)
        timeline = record.timeline()
        total, offset, phases = sum(seconds for _, seconds in timeline) or 1.0, 0.0, []
        for name, seconds in timeline:
            percent = 100 * seconds / total
            phases.append(
                {"name": name, "ms": seconds * 1000, "percent": percent, "offset": offset}
            )
            offset += percent
        report = next((line for line in record.log if line.startswith("REPORT ")), "")
        return self._page(
            "invocation.html",
            row=row(record),
            phases=phases,
            is_done=record.is_done,
            after=self._after(record),
            event=shown(record.event),
            result=shown(record.result),
            log=record.log,
            figures=[figure for figure in report.strip().split("\t")[1:] if figure],
        )

    async def _form(self, request: Request) -> Response:
        again, sample = (request.query_params.get(name, "") for name in ("again", "sample"))
        record = self._journal.find(int(again)) if again.isdecimal() else None
        if record is not None:
            return self._sending(shown(record.event)[0].text, record.function.config.name)
        text = json.dumps(SAMPLES[sample](), indent=2) if sample in SAMPLES else ""
        return self._sending(text, request.query_params.get("function", ""))

    async def _send(self, request: Request) -> Response:
        own = f"http://{request.headers.get('host')}"
        if request.headers.get("origin") != own:
            return Response("Only a form of this page may send events.\n", 403)
        body = await body_of(request.scope, request.receive, 4 * MAX_EVENT)
        form = dict(parse_qsl(body.decode("utf-8", "replace")))
        text, name = form.get("event", ""), form.get("function", "")
        try:
            event = json.loads(text)
            if not isinstance(event, dict):
                raise ValueError("an event is a JSON object")
        except (ValueError, RecursionError) as error:
            return self._sending(text, name, f"This is not an event: {error}.", 400)
        functions = self._journal.functions
        function = next((each for each in functions if each.config.name == name), functions[0])
        try:
            answer = await function.open(json.dumps(event).encode())
        except Throttled as throttled:
            return self._sending(text, name, f"The event was not sent: {throttled}.", 429)
        async for _ in answer.pieces():
            pass  # its beginning is kept
        await answer.finished()
        sent = [record for record in self._journal.records if record.answer is answer]
        return RedirectResponse(f"/invocations/{sent[0].number}" if sent else "/", 303)

    def _sending(
        self, event: str, function: str, problem: str = "", status_code: int = 200
    ) -> Response:
        """The form that sends an event."""
        return self._page(
            "send.html", status_code, event=event, chosen=function, problem=problem,
            samples=list(SAMPLES),
        )  # fmt: skip

    async def _changes(self, _: Request) -> Response:
        async def lines() -> AsyncIterator[str]:
            closing = asyncio.ensure_future(self._closing.wait())
            while not closing.done():
                changed = asyncio.ensure_future(self._journal.changed.wait())
                await asyncio.wait(
                    {closing, changed}, timeout=SILENCE, return_when=asyncio.FIRST_COMPLETED
                )
                yield "data: changed\n\n" if changed.done() else ": nothing\n\n"
                changed.cancel()

        return StreamingResponse(lines(), media_type="text/event-stream")

    def _after(self, record: Record) -> str:
        """What the environment is since then."""
        if not record.is_done:
            return "running"
        return "frozen" if record.function.config.freezes else "idle"

    def _page(self, name: str, status_code: int = 200, **values: Any) -> Response:
        html = TEMPLATES.get_template(name).render(functions=self._names, **values)
        headers = {"content-security-policy": POLICY, "cache-control": "no-store"}
        return HTMLResponse(html, status_code, headers)


async def asset(request: Request) -> Response:
    """The style sheet or the script."""
    kinds = {"console.css": "text/css", "console.js": "text/javascript"}
    name = "{name}.{kind}".format(**request.path_params)
    if name not in kinds:
        return Response(status_code=404)
    return Response(TEMPLATES.get_template(name).render(), media_type=kinds[name])


def row(record: Record) -> dict[str, Any]:
    """An invocation as the list shows it; `searched` is what the filter looks at."""
    answer = record.answer
    code = status(record.result)
    failed = answer.error is not None or (code or 0) >= 500
    words = "running" if not record.is_done else str(code or ("error" if failed else "ok"))
    spent = (answer.response_at or time.monotonic()) - record.received
    known = {"cold": answer.init is not None, "streamed": record.streamed}
    line = summary(record.event)
    searched = " ".join([line, words, answer.request_id, *record.log])
    return {
        "number": record.number,
        "time": time.strftime("%H:%M:%S", time.localtime(record.at)),
        "line": line,
        "status": words,
        "failed": failed,
        "ms": spent * 1000,
        "function": record.function.config.name,
        "environment": record.environment,
        "marks": [name for name, is_so in known.items() if is_so],
        "request_id": answer.request_id,
        "searched": searched,
    }


def graph(watched: Watched) -> dict[str, Any]:
    """An environment with its memory as the points of a line."""
    memory = [sample.memory for sample in watched.samples if sample.memory is not None]
    highest = max(memory, default=0.0)
    step = GRAPH_WIDTH / max(len(memory) - 1, 1)
    points = [
        f"{index * step:.1f},{GRAPH_HEIGHT - GRAPH_HEIGHT * value / (highest or 1):.1f}"
        for index, value in enumerate(memory)
    ]
    return {
        "number": watched.number,
        "pid": watched.environment.pid,
        "state": watched.samples[-1].state if watched.samples else "init",
        "memory": memory[-1] if memory else None,
        "highest": highest,
        "points": " ".join(points),
    }
