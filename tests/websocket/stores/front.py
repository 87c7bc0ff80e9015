"""Stands before moto's server: writes happen one after the other, and calls can fail as AWS's do.

moto checks a condition and writes in two steps, between which another thread may write; AWS does
not.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.front_of_moto import Answer, Ask, Call, FrontOfMoto

Fault = Callable[[Call, Ask], "Answer | None"]
"""Takes the call and what asks moto; returns the answer, or None to close the connection."""


def throttled(call: Call, ask: Ask) -> Answer:
    """DynamoDB's answer to too many calls."""
    body = {"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException", "message": "Slower"}
    return Answer(400, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(body).encode())


def slow_down(call: Call, ask: Ask) -> Answer:
    """S3's answer to too many calls."""
    body = (
        b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
    )
    return Answer(503, {"Content-Type": "application/xml"}, body)


def denied(call: Call, ask: Ask) -> Answer:
    """DynamoDB's answer to a role without the policy."""
    text = "User: arn:aws:sts::123456789012:assumed-role/fn is not authorized"
    body = {"__type": "com.amazon.coral.service#AccessDeniedException", "Message": text}
    return Answer(400, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(body).encode())


def denied_by_s3(call: Call, ask: Ask) -> Answer:
    """S3's answer to a role without the policy."""
    body = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    return Answer(403, {"Content-Type": "application/xml"}, body)


def lost(call: Call, ask: Ask) -> None:
    """Do the work, and close the connection instead of telling."""
    ask(call)


def halved(call: Call, ask: Ask) -> Answer:
    """Do half of a BatchWriteItem, and leave the other one to the caller."""
    [(table, requests)] = json.loads(call.body)["RequestItems"].items()
    half = (len(requests) + 1) // 2
    body = json.dumps({"RequestItems": {table: requests[:half]}}).encode()
    answer = ask(call._replace(body=body))
    rest = {"UnprocessedItems": {table: requests[half:]} if requests[half:] else {}}
    return answer._replace(body=json.dumps(rest).encode())


def operation_of(call: Call) -> str:
    """DynamoDB's name of the operation, or the method."""
    return call.headers.get("X-Amz-Target", call.method).rpartition(".")[2]


class Front(FrontOfMoto):
    """The operations asked of it are in `seen`."""

    def __init__(self, behind: tuple[str, int]) -> None:
        super().__init__(behind)
        self.seen: list[str] = []
        self._faults: list[tuple[str, Fault]] = []
        self._always: dict[str, Fault] = {}

    def fail(self, operation: str, fault: Fault, times: int = 1) -> None:
        """Let the next `times` calls of `operation` meet `fault`."""
        self._faults = [(operation, fault)] * times

    def meet(self, faults: dict[str, Fault]) -> None:
        """Let every call of these operations meet its fault."""
        self._always = faults

    def recover(self) -> None:
        """End all faults, and forget what was seen."""
        self._faults = []
        self._always = {}
        self.seen = []

    def answer(self, call: Call, ask: Ask) -> Answer | None:
        """Answer as moto does, unless a fault waits for the call."""
        operation = operation_of(call)
        with self.lock:
            self.seen.append(operation)
            if self._faults and self._faults[0][0] == operation:
                return self._faults.pop(0)[1](call, ask)
            fault = self._always.get(operation)
            return fault(call, ask) if fault else ask(call)
