"""Stands before moto's server and fails as AWS does: throttles, is down, loses an answer."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable

from tests.front_of_moto import Answer, Ask, Call, FrontOfMoto

OPERATIONS = {
    ("POST", "versions"): "publish",
    ("POST", "policy"): "allow",
    ("GET", "versions"): "list",
}


Fault = Callable[[Callable[[], Answer]], Answer | None]
"""Takes what asks moto; returns the answer, or None to close the connection without one."""


def error(status: int, code: str, message: str = "") -> Fault:
    """Answer with an error as Lambda words it."""
    body = json.dumps({"message": message, "Type": "User"}).encode()
    headers = {"x-amzn-ErrorType": code, "Content-Type": "application/json"}
    return lambda ask: Answer(status, headers, body)


def garbled(ask: Callable[[], Answer]) -> Answer | None:
    """Answer as a balancer does that finds nobody behind it."""
    return Answer(503, {"Content-Type": "text/html"}, b"<p>Service unavailable")


throttled = error(429, "TooManyRequestsException", "Rate exceeded")


def down(ask: Callable[[], Answer]) -> Answer | None:
    """Close the connection; the call does nothing."""
    return None


def lost(ask: Callable[[], Answer]) -> Answer | None:
    """Let the call do its work, and close the connection instead of telling."""
    ask()
    return None


class Front(FrontOfMoto):
    """What is asked of it is counted in `seen`."""

    def __init__(self, behind: tuple[str, int]) -> None:
        super().__init__(behind)
        self.seen: Counter[tuple[str, str]] = Counter()
        self._faults: dict[tuple[str, str], list[Fault]] = {}
        self._statements: set[tuple[str, str, str]] = set()

    def fail(self, region: str, operation: str, fault: Fault, times: int = 1) -> None:
        """Let the next `times` calls of `operation` in `region` meet `fault`."""
        self._faults[region, operation] = [fault] * times

    def recover(self) -> None:
        """End all faults, and count anew."""
        self._faults.clear()
        self.seen.clear()

    def answer(self, call: Call, ask: Ask) -> Answer | None:
        """Answer a call as moto does, unless a fault waits for it."""
        found = re.search(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/", call.headers["Authorization"])
        assert found
        operation = OPERATIONS.get((call.method, call.path.rsplit("/", 1)[-1]), "get")
        key = (found[1], {"sts": "account", "ssm": "parameter"}.get(found[2], operation))
        with self.lock:
            self.seen[key] += 1
            faults = self._faults.get(key)
            fault = faults.pop() if faults else None
        if not fault and key[1] == "allow" and self._is_repeated(key[0], call):
            fault = error(409, "ResourceConflictException", "The statement id exists already")
        return fault(lambda: ask(call)) if fault else ask(call)

    def _is_repeated(self, region: str, call: Call) -> bool:
        """Tell whether the statement is there already: AWS refuses it, moto adds it twice."""
        statement = (region, call.path, str(json.loads(call.body)["StatementId"]))
        with self.lock:
            repeated = statement in self._statements
            self._statements.add(statement)
        return repeated
