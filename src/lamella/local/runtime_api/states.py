"""The states of a runtime, as rapid (the supervisor inside Lambda's sandbox) keeps them.

The table is the whole machine. The names are rapid's own, since they appear in the text of a
403, and which moves are refused was read off the Runtime Interface Emulator's wire.
SnapStart adds the three restore states; managed instances have no such machine, because there
each invocation has its own (managed_api.py).
"""

from __future__ import annotations

import enum

from lamella.local.runtime_api.http11 import ApiError


class RuntimeState(enum.Enum):
    """Where the runtime is; the value is the name in messages."""

    STARTED = "Started"
    INIT_ERROR = "InitError"
    READY = "Ready"
    RUNNING = "Running"
    RESPONDING = "InvocationResponse"
    FAILING = "InvocationErrorResponse"
    ANSWERED = "RuntimeResponseSentState"
    RESTORE_READY = "RestoreReady"
    RESTORING = "Restoring"
    RESTORE_ERROR = "RuntimeRestoreErrorState"


MOVES: dict[RuntimeState, frozenset[RuntimeState]] = {
    RuntimeState.STARTED: frozenset(
        {RuntimeState.READY, RuntimeState.INIT_ERROR, RuntimeState.RESTORE_READY}
    ),
    RuntimeState.RESTORE_READY: frozenset({RuntimeState.RESTORING}),
    RuntimeState.RESTORING: frozenset({RuntimeState.READY, RuntimeState.RESTORE_ERROR}),
    RuntimeState.RESTORE_ERROR: frozenset(),
    RuntimeState.INIT_ERROR: frozenset(),
    RuntimeState.READY: frozenset({RuntimeState.READY, RuntimeState.RUNNING}),
    RuntimeState.RUNNING: frozenset({RuntimeState.RESPONDING, RuntimeState.FAILING}),
    RuntimeState.RESPONDING: frozenset({RuntimeState.ANSWERED}),
    RuntimeState.FAILING: frozenset({RuntimeState.ANSWERED}),
    RuntimeState.ANSWERED: frozenset({RuntimeState.READY}),
}


class RuntimeStates:
    """The current state of one runtime process."""

    def __init__(self) -> None:
        self.state = RuntimeState.STARTED

    def move(self, to: RuntimeState) -> None:
        """Go to state `to`; raises ApiError (403 InvalidStateTransition) where MOVES has no way."""
        if to not in MOVES[self.state]:
            raise ApiError(
                403,
                "InvalidStateTransition",
                f"State transition from {self.state.value} to {to.value} failed for runtime. "
                "Error: State transition is not allowed",
            )
        self.state = to
