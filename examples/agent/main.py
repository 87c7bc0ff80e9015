"""An agent that streams what it does as AG-UI events: text, a tool's call and its result.

https://docs.ag-ui.com. A front end for AG-UI posts a run, and reads server-sent events.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

from ag_ui.core import (
    BaseEvent,
    EventType,
    RunAgentInput,
    RunErrorEvent,
    RunFinishedEvent,
    RunStartedEvent,
    TextMessageContentEvent,
    TextMessageEndEvent,
    TextMessageStartEvent,
    ToolCallArgsEvent,
    ToolCallEndEvent,
    ToolCallResultEvent,
    ToolCallStartEvent,
)
from ag_ui.encoder import EventEncoder
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from model import TOOLS, Call, Message, think

app = FastAPI()


@app.post("/agent")
async def agent(run: RunAgentInput) -> StreamingResponse:
    """Stream one run: the model speaks, asks for tools, and speaks again about their results."""
    encoder = EventEncoder()

    async def stream() -> AsyncIterator[str]:
        async for event in events(run):
            yield encoder.encode(event)

    return StreamingResponse(stream(), media_type=encoder.get_content_type())


async def events(run: RunAgentInput) -> AsyncIterator[BaseEvent]:
    """All events of a run. The client sends the whole history, so no environment keeps any."""
    names = {"thread_id": run.thread_id, "run_id": run.run_id}
    yield RunStartedEvent(type=EventType.RUN_STARTED, **names)
    history = [Message(each.role, str(each.content)) for each in run.messages]
    try:
        called = True
        while called:
            called = False
            message = uuid4().hex
            yield TextMessageStartEvent(
                type=EventType.TEXT_MESSAGE_START, message_id=message, role="assistant"
            )
            calls = []
            async for part in think(history):
                if isinstance(part, Call):
                    calls.append(part)
                else:
                    yield TextMessageContentEvent(
                        type=EventType.TEXT_MESSAGE_CONTENT, message_id=message, delta=part
                    )
            yield TextMessageEndEvent(type=EventType.TEXT_MESSAGE_END, message_id=message)
            for call in calls:
                called = True
                async for event in use(call, message, history):
                    yield event
    except Exception as error:
        # The status has been sent, so the stream itself has to say it.
        yield RunErrorEvent(type=EventType.RUN_ERROR, message=f"{type(error).__name__}: {error}")
    else:
        yield RunFinishedEvent(type=EventType.RUN_FINISHED, **names)


async def use(call: Call, message: str, history: list[Message]) -> AsyncIterator[BaseEvent]:
    """Call a tool; its result becomes part of the history."""
    number = uuid4().hex
    yield ToolCallStartEvent(
        type=EventType.TOOL_CALL_START,
        tool_call_id=number,
        tool_call_name=call.tool,
        parent_message_id=message,
    )
    yield ToolCallArgsEvent(
        type=EventType.TOOL_CALL_ARGS, tool_call_id=number, delta=call.arguments
    )
    yield ToolCallEndEvent(type=EventType.TOOL_CALL_END, tool_call_id=number)
    result = await TOOLS[call.tool](call.arguments)
    history.append(Message("tool", result))
    yield ToolCallResultEvent(
        type=EventType.TOOL_CALL_RESULT,
        message_id=uuid4().hex,
        tool_call_id=number,
        content=result,
    )
