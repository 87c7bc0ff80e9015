"""The states of a runtime, as rapid (the supervisor inside Lambda's sandbox) keeps them.

The table is the whole machine. The names are rapid's own, since they appear in the text of a
403, and which moves are refused was read off the Runtime Interface Emulator's wire.
SnapStart adds the three restore states; managed instances have no such machine, because there
each invocation has its own (managed_api.py).
"""

from __future__ import annotations

import enum

from lamella.local.replies import Refused


class State(enum.Enum):
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


MOVES: dict[State, frozenset[State]] = {
    State.STARTED: frozenset({State.READY, State.INIT_ERROR, State.RESTORE_READY}),
    State.RESTORE_READY: frozenset({State.RESTORING}),
    State.RESTORING: frozenset({State.READY, State.RESTORE_ERROR}),
    State.RESTORE_ERROR: frozenset(),
    State.INIT_ERROR: frozenset(),
    State.READY: frozenset({State.READY, State.RUNNING}),
    State.RUNNING: frozenset({State.RESPONDING, State.FAILING}),
    State.RESPONDING: frozenset({State.ANSWERED}),
    State.FAILING: frozenset({State.ANSWERED}),
    State.ANSWERED: frozenset({State.READY}),
}


class RuntimeStates:
    """The current state of one runtime process."""

    def __init__(self) -> None:
        self.state = State.STARTED

    def move(self, to: State) -> None:
        """Go to state `to`; raises Refused (403 InvalidStateTransition) where MOVES has no way."""
        if to not in MOVES[self.state]:
            raise Refused(
                403,
                "InvalidStateTransition",
                f"State transition from {self.state.value} to {to.value} failed for runtime. "
                "Error: State transition is not allowed",
            )
        self.state = to
