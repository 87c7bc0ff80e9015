"""The console of `lamella run`: over plain HTTP, as without scripts, and in a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from lamella.local.console.reading import shown, status, summary
from lamella.testing import events
from tests.local.command import LIMIT, Cli, Start

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PATIENCE = 60_000.0
"""Milliseconds that anything may take on a busy machine."""


@pytest.fixture
def running(start: Start) -> tuple[str, str]:
    """The function's address, and the console's."""
    cli = start("--console")
    return cli.url(), console_of(cli)


def console_of(cli: Cli) -> str:
    return cli.line(r"(http://127\.0\.0\.1:\d+)   shows each invocation")[1]


def get(url: str, **options: Any) -> httpx.Response:
    return httpx.get(url, timeout=LIMIT, **options)


def over(console: str, number: int) -> str:
    """The page of an invocation, once it is over: its client has the answer before."""
    end = time.monotonic() + LIMIT
    while "Billed Duration: " not in (page := get(f"{console}/invocations/{number}").text):
        assert time.monotonic() < end, page
        time.sleep(0.05)
    return page


def invoke(url: str, event: dict[str, object], path: str = "/") -> int:
    return httpx.post(url + path, json=event, timeout=LIMIT).status_code


def send(console: str, event: str, origin: str | None = None) -> httpx.Response:
    headers = {"origin": console if origin is None else origin}
    body = {"event": event}
    return httpx.post(f"{console}/send", data=body, headers=headers, timeout=LIMIT)


def test_an_invocation_is_listed_and_shown_whole(running: tuple[str, str]) -> None:
    url, console = running
    invoke(url, {"do": "echo", "text": "<script>alert(1)</script>"}, "/a?<b>")
    listed = get(console).text
    assert "POST /a?&lt;b&gt;" in listed or "POST /a?%3Cb%3E" in listed
    page = over(console, 1)
    for word in ("init", "until the first byte", "frozen", "event echo"):
        assert word in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    policy = get(console).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", listed + page), "nothing from elsewhere"


def test_the_list_is_filtered(running: tuple[str, str]) -> None:
    url, console = running
    invoke(url, {"do": "echo"}, "/one")
    invoke(url, {"do": "error", "message": "a rare word"}, "/two")
    by_word = get(console, params={"q": "/ONE"}).text
    assert "POST /one" in by_word
    assert "POST /two" not in by_word
    assert "Show 1 more" in by_word
    failed = get(console, params={"failed": "on"}).text
    assert "POST /two" in failed
    assert "POST /one" not in failed
    assert "No invocation matches" in get(console, params={"q": "/three"}).text


def test_an_event_is_edited_and_sent_again(running: tuple[str, str]) -> None:
    url, console = running
    invoke(url, {"do": "echo"})
    form = get(f"{console}/send", params={"again": "1"}).text
    assert "&#34;rawPath&#34;" in form
    sent = send(console, json.dumps({"do": "result", "result": {"answer": 42}}))
    assert sent.status_code == 303
    page = get(console + sent.headers["location"]).text
    assert "&#34;answer&#34;: 42" in page
    sample = get(f"{console}/send", params={"sample": "sqs"}).text
    assert "aws:sqs" in sample


def test_only_its_own_page_may_send(running: tuple[str, str]) -> None:
    _, console = running
    event = json.dumps({"do": "echo"})
    assert send(console, event, "http://evil.example").status_code == 403
    assert httpx.post(f"{console}/send", data={"event": event}, timeout=LIMIT).status_code == 403
    rebound = get(console, headers={"host": "evil.example"})
    assert rebound.status_code == 403
    assert "evil.example" in rebound.text
    assert "Nothing yet" in get(console).text


@pytest.mark.parametrize(("text", "why"), [("{", "Expecting"), ("[1]", "a JSON object")])
def test_what_is_no_event_is_refused_and_kept(
    running: tuple[str, str], text: str, why: str
) -> None:
    _, console = running
    refused = send(console, text)
    assert refused.status_code == 400
    assert "This is not an event: " in refused.text
    assert why in refused.text
    assert f">{text}</textarea>" in refused.text


def test_what_is_not_kept_is_said_so(running: tuple[str, str]) -> None:
    _, console = running
    for path, code in (
        ("/invocations/7", 404),
        ("/send?again=x", 200),
        ("/nothing.css", 404),
        ("/console.css", 200),
    ):
        assert get(console + path).status_code == code


def test_a_crash_and_the_next_environment_are_shown(running: tuple[str, str]) -> None:
    url, console = running
    invoke(url, {"do": "crash", "code": 9})
    page = over(console, 1)
    assert "Runtime exited with error: exit status 9" in page
    assert "about to crash" in page
    assert invoke(url, {"do": "echo"}) == 200
    assert "POST /" in get(f"{console}/invocations/2").text


def test_there_is_none_in_a_pipe(start: Start) -> None:
    cli = start()
    invoke(cli.url(), {"do": "echo"})
    cli.line("^POST / 200 ")
    assert not [line for line in cli.seen if "shows each invocation" in line]


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of a real browser, of a telephone's width."""
    if CHROMIUM is None:
        pytest.skip("NOT TESTED: no browser; apt-get install chromium")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=arguments, timeout=PATIENCE
        )
        page = browser.new_page(viewport={"width": 360, "height": 700})
        page.set_default_timeout(PATIENCE)
        yield page
        browser.close()


def test_in_a_browser_by_keyboard_on_a_narrow_screen(running: tuple[str, str], page: Page) -> None:
    url, console = running
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))

    def check_width() -> None:
        # Not wait_for_function: it evaluates text in the page, whose policy forbids that.
        for _ in range(100):
            if page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
                return
            page.wait_for_timeout(100)
        pytest.fail(f"wider than the screen: {page.content()}")

    page.goto(console, wait_until="domcontentloaded")
    invoke(url, {"do": "echo", "long": "x" * 500}, "/came/while/it/was/open")
    expect(page.get_by_role("link", name="POST /came/while/it/was/open")).to_be_visible(
        timeout=PATIENCE
    )
    expect(page.get_by_text("frozen")).to_be_visible(timeout=PATIENCE)
    check_width()
    for _ in range(20):
        page.keyboard.press("Tab")
        if "invocations/1" in page.evaluate("document.activeElement.getAttribute('href') || ''"):
            break
    invoke(url, {"do": "echo"}, "/another")
    expect(page.get_by_role("link", name="POST /another")).to_be_visible(timeout=PATIENCE)
    page.keyboard.press("Enter")  # the focus has stayed where it was
    expect(page.get_by_role("heading", name="/came/while")).to_be_visible(timeout=PATIENCE)
    check_width()
    page.get_by_role("link", name="Edit and send again").press("Enter")
    page.get_by_label("Event, a JSON object").fill('{"do": "result", "result": "by hand"}')
    page.get_by_role("button", name="Send").press("Enter")
    expect(page.get_by_text('"by hand"').first).to_be_visible(timeout=PATIENCE)
    check_width()
    assert problems == []


def test_the_first_byte_is_not_later_than_the_last(running: tuple[str, str]) -> None:
    """The console hears of both at once where an answer is short, and on a busy machine late."""
    url, console = running
    invoke(url, {"do": "echo"})
    invoke(url, {"do": "echo"})
    listed = httpx.get(console).text
    page = httpx.get(f"{console}/invocations/2").text
    (whole, _) = (float(ms) for ms in re.findall(r'"ms" class="number">([\d.]+)<', listed))
    first = re.search(r"first byte</th><td class=\"number\">([\d.]+) ms", page)
    assert first is not None
    assert float(first[1]) <= whole + 0.1


def test_events_in_a_few_words() -> None:
    assert summary(json.dumps(events.function_url(path="/a", query="b=1")).encode()) == "GET /a?b=1"
    assert summary(json.dumps(events.rest_api(method="POST", path="/a")).encode()) == "POST /a"
    assert summary(b'{"Records": [{"eventSource": "aws:sqs"}]}') == "aws:sqs, 1 record"
    assert summary(b'{"detail-type": "Scheduled Event"}') == "Scheduled Event"
    assert summary(b'{"a": 1, "b": 2}') == "a, b"
    assert summary(b"\xff") == "an event"


def test_results_as_text() -> None:
    streamed = b'{"statusCode": 201}' + bytes(8) + b"text"
    assert status(streamed) == 201
    assert [part.text for part in shown(streamed)][1:] == ["text"]
    encoded = b'{"statusCode": 200, "body": "eyJhIjogMX0=", "isBase64Encoded": true}'
    assert shown(encoded)[1].text == '{\n  "a": 1\n}'
    binary = b'{"statusCode": 200, "body": "//8=", "isBase64Encoded": true}'
    assert shown(binary)[1].text == "2 bytes that are not text"
    assert status(b'"text"') is None
