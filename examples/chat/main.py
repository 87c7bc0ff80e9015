"""A chat with rooms: a page, and a WebSocket endpoint that API Gateway calls once per message.

What an endpoint keeps in local variables elsewhere is in the session here, and rooms are groups
in the connection store: both are the same in every environment.
"""

from __future__ import annotations

import html
import os
from pathlib import Path
from string import Template

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse

import lamella.websocket

PAGE = Template((Path(__file__).parent / "page.html").read_text())
WEBSOCKET_URL = os.environ.get("WEBSOCKET_URL", "/prod")

app = FastAPI(title="Chat")


@app.get("/", response_class=HTMLResponse)
async def page() -> str:
    """The page, which is told where the WebSocket API is: another host than its own."""
    return PAGE.substitute(websocket_url=html.escape(WEBSOCKET_URL))


@app.websocket("/ws")
async def chat(websocket: WebSocket, room: str = "lobby") -> None:
    """Run anew for each event, so before the loop is only what may be done each time."""
    connection = websocket.scope["extensions"]["lamella.websocket"]
    session, room = connection["session"], room[:40]
    await websocket.accept()
    try:
        while True:
            match await websocket.receive_json():
                case {"name": str(name)} if "name" not in session:
                    session["name"] = name[:40]
                    await lamella.websocket.group_add(room, connection["connection_id"])
                    await lamella.websocket.group_send(room, f"{session['name']} joined")
                case {"text": str(text)} if "name" in session:
                    await lamella.websocket.group_send(room, f"{session['name']}: {text}")
    except WebSocketDisconnect:  # in the client's last event only, and it is in no room any more
        if "name" in session:
            await lamella.websocket.group_send(room, f"{session['name']} left")
