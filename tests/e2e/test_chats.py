"""The chats of examples/, each with two browsers that talk to each other through the layer."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from lamella.local.config import FunctionConfig
from lamella.local.endpoints.websockets.api import WebSocketApi
from tests.e2e.environments import served
from tests.e2e.packages import USUAL, installed
from tests.local.websocket_client import serving

EXAMPLES = Path(__file__).parents[2] / "examples"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PATIENCE = 60_000.0
"""Milliseconds that anything may take on a busy machine."""

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(CHROMIUM is None, reason="NOT TESTED: no browser; apt-get install chromium"),
]

Open = Callable[[], Awaitable[Page]]


@pytest.fixture
async def open_browser() -> AsyncIterator[Open]:
    """Start a browser, and return its empty page."""
    async with async_playwright() as playwright:
        browsers: list[Browser] = []

        async def open_browser() -> Page:
            browser = await playwright.chromium.launch(
                executable_path=CHROMIUM,
                args=["--no-sandbox"] if os.geteuid() == 0 else [],
                timeout=PATIENCE,
            )
            browsers.append(browser)
            page = await browser.new_page()
            page.set_default_timeout(PATIENCE)
            # Browsers ask for it when they like, and here events are counted.
            await page.route("**/favicon.ico", lambda route: route.abort())
            return page

        yield open_browser
        for browser in browsers:
            await browser.close()


@pytest.fixture
def config(request: pytest.FixtureRequest, opt: Path, tmp_path: Path) -> FunctionConfig:
    """An example's function: its code among its dependencies, as `sam build` has it."""
    example, app, path = request.param
    folder, python = EXAMPLES / example, USUAL
    packages = installed(python, example, *(folder / "requirements.txt").read_text().split())
    for entry in [*packages.iterdir(), *folder.iterdir()]:
        (tmp_path / entry.name).symlink_to(entry)
    variables = {"ASGI_APP": app, "ASGI_WEBSOCKET_PATH": path}
    return FunctionConfig(tmp_path, opt / "bootstrap", python=python.path, environment=variables)


@pytest.mark.parametrize("config", [("chat", "main:app", "/ws")], indirect=True, ids=["fastapi"])
async def test_fastapi(config: FunctionConfig, open_browser: Open) -> None:
    async def enter(page: Page, name: str) -> None:
        await page.fill("#name", name)
        await page.click("#enter button")
        await expect(page.locator("#text")).to_be_enabled(timeout=PATIENCE)

    async def say(page: Page, text: str) -> None:
        await page.fill("#text", text)
        await page.press("#text", "Enter")

    async def reads(page: Page, *lines: str) -> None:
        await expect(page.locator("#log p")).to_have_text(lines, timeout=PATIENCE)

    async with serving(config, spread=2) as local:
        assert await local.function.warm() is None, local.log
        ada, bob = await open_browser(), await open_browser()
        for page, name in [(ada, "Ada"), (bob, "Bob")]:
            await page.goto(local.origin)
            await enter(page, name)
        seen = ["Ada joined", "Bob joined"]
        await reads(ada, *seen)
        async with served(local.function, 4) as environments:
            for page, name in [(ada, "Ada"), (bob, "Bob")] * 2:
                await say(page, "I am <i>here</i>")
                seen.append(f"{name}: I am <i>here</i>")
                await reads(ada, *seen)
                await reads(bob, *seen[1:])
        assert len(environments) > 1
        await bob.reload()
        await reads(ada, *seen, "Bob left")
        await enter(bob, "Bob")
        await say(bob, "back again")
        seen += ["Bob left", "Bob joined", "Bob: back again"]
        await reads(bob, *seen[-2:])
        await reads(ada, *seen)
        await bob.close()
        await reads(ada, *seen, "Bob left")
        await say(ada, "still here")
        await reads(ada, *seen, "Bob left", "Ada: still here")
    assert not [line for line in local.log if "[ERROR]" in line]


TUTORIAL = ("chat-channels", "mysite.asgi:application", "header:x-path")


@pytest.mark.parametrize("config", [TUTORIAL], indirect=True, ids=["channels"])
async def test_channels(config: FunctionConfig, open_browser: Open) -> None:
    """The page connects to its own host, at the path of the consumer: so a header carries it."""

    async def connected(page: Page) -> None:
        await page.wait_for_function("socket.readyState === WebSocket.OPEN")

    async def say(page: Page, text: str) -> None:
        await page.fill("#chat-message-input", text)
        await page.press("#chat-message-input", "Enter")

    async def reads(page: Page, *lines: str) -> None:
        text = "".join(f"{line}\n" for line in lines)
        await expect(page.locator("#chat-log")).to_have_value(text, timeout=PATIENCE)

    api = WebSocketApi(path_header="x-path")
    async with serving(config, api, spread=2) as local:
        assert await local.function.warm() is None, local.log
        ada, bob, eve = [await open_browser() for _ in range(3)]
        for page, room in [(ada, "lobby"), (bob, "lobby"), (eve, "elsewhere")]:
            await page.goto(f"{local.origin}/chat/")
            await page.fill("#room-name-input", room)
            await page.click("#room-name-submit")
            await page.wait_for_url(f"**/chat/{room}/")
            await connected(page)
        seen: list[str] = []
        async with served(local.function, 4) as environments:
            for page in [ada, bob] * 2:
                await say(page, f"message {len(seen)}")
                seen.append(f"message {len(seen)}")
                await reads(ada, *seen)
                await reads(bob, *seen)
        assert len(environments) > 1
        async with served(local.function, 3):  # $disconnect, the page, $connect
            await bob.reload()
            await connected(bob)
        await say(bob, "back again")
        await reads(bob, "back again")
        await reads(ada, *seen, "back again")
        async with served(local.function, 1):  # $disconnect
            await bob.close()
        async with served(local.function, 1):
            await say(ada, "still here")
            await reads(ada, *seen, "back again", "still here")
        await reads(eve)
    assert not [line for line in local.log if "[ERROR]" in line]
