"""What the documentation marks UNVERIFIED: each question, its possible answers, and its probe.

    answers = ask(deployed)  # {"www-authenticate-behind-an-http-api": "renamed: x-amzn-...", ...}

docs/verified.md shows all of it; `page.py` writes it.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.aws import probes
from tests.aws.deployed import Deployed
from tests.aws.probes import Probe

AT_A_TIME = 4
"""Probes: a new account has ten environments at a time, and some probes need several."""

PATIENCE = 900.0
"""Seconds for all probes. The longest one, a silent stream, takes five and a half minutes."""

NO_ANSWER = "not answered"


@dataclass(frozen=True)
class Answer:
    """One possible answer: how a probe's words begin, and what to do where AWS gives it."""

    says: str
    then: str


@dataclass(frozen=True)
class Question:
    """One question of the documentation.

    `page` of docs/ asks it, and links to it. The first answer is the one that the documentation
    and the code assume until AWS has been asked.
    """

    title: str
    page: str
    asks: str
    answers: tuple[Answer, ...]
    probe: Probe

    @property
    def id(self) -> str:
        """The anchor that GitHub and the site make of the title."""
        return re.sub(r"[^\w\- ]", "", self.title.lower()).replace(" ", "-")


NO_LIMIT = Answer(
    "no limit found",
    "Write the size that passed into the table of front-doors.md, as the least that passes.",
)
LIMIT = Answer(
    "a limit",
    "Write the size into the table of front-doors.md, and let the local door refuse more.",
)


def over(status: str, module: str) -> tuple[Answer, ...]:
    """The answers where a request is over a limit, and the local door says this status."""
    return (
        Answer(f"status {status}", f"Nothing: front-doors.md and front_doors/{module} are right."),
        Answer(
            "another status",
            f"Change the status in front-doors.md, and in TROUBLES of front_doors/{module}.",
        ),
        Answer(
            "delivered",
            "The limit is another one: correct front-doors.md and front_doors/heads.py.",
        ),
    )


FRONT_DOORS = (
    Question(
        "WWW-Authenticate behind an HTTP API",
        "front-doors.md",
        "Under which name does a client of an HTTP API get the header WWW-Authenticate of a 401?",
        (
            Answer(
                "as it is",
                "Write that into the table of front-doors.md, and that the report of a rename "
                "was not seen.",
            ),
            Answer(
                "renamed",
                "Add the HTTP API to the renaming doors: front_doors/http.py, the warning with "
                "the first 401, and front-doors.md.",
            ),
            Answer("dropped", "Say so in front-doors.md, and drop it in front_doors/http.py."),
        ),
        probes.challenge("HTTP API"),
    ),
    Question(
        "Header values of an answer through a Function URL",
        "front-doors.md",
        "How many bytes may the header values of an answer have, streamed through a Function URL?",
        (
            Answer(
                "a limit",
                "Write the size into the table of front-doors.md, and compare it with the 16 KB "
                "of front_doors/prelude.py.",
            ),
            Answer(
                "no limit found",
                "Write the size that passed into the table of front-doors.md, and let "
                "front_doors/prelude.py refuse a long head of REST APIs only.",
            ),
        ),
        probes.answer_headers("Function URL, streamed"),
    ),
    Question(
        "Header values of an answer through VPC Lattice",
        "front-doors.md",
        "How many bytes may the header values of an answer have through VPC Lattice?",
        (NO_LIMIT, LIMIT),
        probes.answer_headers("VPC Lattice"),
    ),
    Question(
        "Headers of a request to a Function URL",
        "front-doors.md",
        "How many bytes may the header values of a request to a Function URL have?",
        (NO_LIMIT, LIMIT),
        probes.request_headers("Function URL, streamed"),
    ),
    Question(
        "Headers of a request to VPC Lattice",
        "front-doors.md",
        "How many bytes may the header values of a request to VPC Lattice have?",
        (NO_LIMIT, LIMIT),
        probes.request_headers("VPC Lattice"),
    ),
    Question(
        "Too large headers behind an HTTP API",
        "front-doors.md",
        "What does a client of an HTTP API get when the header values of an answer have 11,000 "
        "bytes?",
        (
            Answer("status 500", "Nothing: front-doors.md and front_doors/http.py are right."),
            Answer(
                "status 502",
                "Change the status in front-doors.md, and in TROUBLES of front_doors/http.py.",
            ),
            Answer(
                "delivered",
                "The limit is another one: correct the table of front-doors.md, and take "
                "`limited` out of front_doors/http.py.",
            ),
        ),
        probes.large_headers("HTTP API"),
    ),
    Question(
        "A request over the limit of an HTTP API",
        "front-doors.md",
        "Which status does a client of an HTTP API get for 12,000 bytes of header values?",
        over("431", "http.py"),
        probes.over_limit("HTTP API", 431, headers=12_000),
    ),
    Question(
        "A request over the limit of a REST API",
        "front-doors.md",
        "Which status does a client of a REST API get for 12,000 bytes of header values?",
        over("431", "rest.py"),
        probes.over_limit("REST API", 431, headers=12_000),
    ),
    Question(
        "A URL over the limit of a REST API",
        "front-doors.md",
        "Which status does a client of a REST API get for a query of 12,000 bytes?",
        over("414", "rest.py"),
        probes.over_limit("REST API", 414, query=12_000),
    ),
    Question(
        "Time to answer behind VPC Lattice",
        "front-doors.md",
        "Does VPC Lattice wait 75 seconds for an answer, longer than its idle timeout of 60?",
        (
            Answer(
                "no limit found",
                'Say in front-doors.md, "The time of VPC Lattice", that waiting is not idle.',
            ),
            Answer(
                "a limit",
                "Write the seconds into front-doors.md, and into `time_limit` of "
                "front_doors/lattice.py with the status in its TROUBLES. Name idleTimeoutSeconds "
                "in deploy/sam.md.",
            ),
        ),
        probes.time_to_answer("VPC Lattice"),
    ),
    Question(
        "Silence in a stream of a Function URL",
        "front-doors.md",
        "Does a Function URL end a stream that says nothing for five and a half minutes?",
        (
            Answer(
                "no limit found",
                "Write into the table of front-doors.md that 330 s pass.",
            ),
            Answer(
                "a limit",
                "Write the seconds into the table of front-doors.md, set `silence` of "
                "front_doors/url.py, and name ASGI_STREAM_KEEPALIVE there.",
            ),
        ),
        probes.silence("Function URL, streamed"),
    ),
    Question(
        "Small chunks through a Function URL",
        "front-doors.md",
        "Does a Function URL hold the first small chunks of a stream back, and up to which size?",
        (
            Answer(
                "as they are sent",
                'Say in front-doors.md, "Small chunks come late", that this was not seen.',
            ),
            Answer(
                "held back",
                'Write sizes and seconds into front-doors.md, "Small chunks come late".',
            ),
        ),
        probes.small_chunks("Function URL, streamed"),
    ),
    Question(
        "The query map of VPC Lattice",
        "front-doors.md",
        "Is the query of an event of VPC Lattice, version 2, percent-encoded or decoded?",
        (
            Answer(
                "as sent",
                "Nothing: sources/lattice.py and front_doors/lattice.py are right.",
            ),
            Answer(
                "decoded",
                "Encode it again in sources/lattice.py (`query.from_decoded`), and decode it in "
                "front_doors/lattice.py.",
            ),
        ),
        probes.query_map("VPC Lattice"),
    ),
)

ENVIRONMENTS = (
    Question(
        "An import of more than ten seconds",
        "cold-start.md",
        "Is an import of 15 seconds paid for once, because Lamella asks for an event after 9?",
        (
            Answer("once", "Say in cold-start.md that it was seen on AWS."),
            Answer(
                "twice",
                "Lambda's limit ends the process all the same: make `off` the default of "
                "ASGI_SLOW_INIT, and correct cold-start.md and runtime/slow_init.py.",
            ),
        ),
        probes.slow_init("SlowInit"),
    ),
    Question(
        "Time after SIGTERM",
        "design.md",
        "How long does a process with an internal extension live after SIGTERM, when its "
        "function has timed out?",
        (
            Answer(
                "at least 300 ms",
                "Nothing: SHUTDOWN_TIME in runtime/environment.py is safe.",
            ),
            Answer(
                "less",
                "Lower SHUTDOWN_TIME in runtime/environment.py to what was seen, and SIGTERM_GRACE "
                "in local/execution/process.py.",
            ),
            Answer(
                "no signal",
                "Say in design.md that lifespan shutdown does not run after a timeout.",
            ),
        ),
        probes.after_sigterm("Ending"),
    ),
    Question(
        "The sandbox",
        "layer.md",
        "Does a function run without root, without a home folder, and with /tmp alone to write to?",
        (
            Answer("as in the containers", "Nothing: tests/docker/standin.py is right."),
            Answer(
                "otherwise",
                "Make tests/docker/standin.py the same, and read what fails then.",
            ),
        ),
        probes.sandbox("Function URL, streamed"),
    ),
)

EVENTS = (
    Question(
        "The event of a durable function",
        "events.md",
        "Does Invoke of a durable function bring the envelope that Lamella calls `durable`?",
        (
            Answer("an envelope", "Say in events.md that it was seen on AWS."),
            Answer(
                "another event",
                "Change the keys of `durable` in sources/services.py to those that were seen.",
            ),
        ),
        probes.durable_event("Durable"),
    ),
    Question(
        "HTTP to a durable function",
        "events.md",
        "What does an HTTP request to the Function URL of a durable function do?",
        (
            Answer(
                "a request",
                "Say in events.md that one function can serve both.",
            ),
            Answer(
                "an envelope",
                "Say in events.md that each request begins an execution, and that Lamella does "
                "not read the request in it.",
            ),
            Answer("refused", "Say in events.md with which status it is refused."),
        ),
        probes.durable_http("Durable", "DurableAddress"),
    ),
)

WEBSOCKETS = (
    Question(
        "Headers of an accepted WebSocket",
        "websockets.md",
        "Which headers of `websocket.accept`, besides the subprotocol, reach the client?",
        (
            Answer("none", "Say in websockets.md that only the subprotocol passes."),
            Answer(
                "some",
                "Name them in websockets.md, and let local/endpoints/websockets/session.py pass "
                "them.",
            ),
            Answer(
                "all",
                "Say so in websockets.md, and let local/endpoints/websockets/session.py pass them.",
            ),
        ),
        probes.accept_headers("WebSocket API"),
    ),
    Question(
        "The body of a refused handshake",
        "websockets.md",
        "Does the client get the body of an answer that refuses its handshake?",
        (
            Answer("passed", "Say so in websockets.md."),
            Answer(
                "dropped",
                "Say so in websockets.md, and drop it in "
                "local/endpoints/websockets/integration.py.",
            ),
        ),
        probes.refused_body("WebSocket API"),
    ),
    Question(
        "A message right after the handshake",
        "websockets.md",
        "Does a message arrive that is sent as soon as the connection is accepted?",
        (
            Answer("arrives", "Write the time into websockets.md: three seconds are enough."),
            Answer(
                "lost",
                "Raise SETTLING of websocket/hub.py, or send the greeting with the first message.",
            ),
        ),
        probes.greeting("WebSocket API"),
    ),
    Question(
        "The close code of a WebSocket",
        "websockets.md",
        "Which code does a client see when the application closes with 4001?",
        (
            Answer(
                "another one",
                "Write it into websockets.md, and compare NORMAL_CLOSURE of "
                "local/endpoints/websockets/management.py.",
            ),
            Answer("the application's", 'Correct "No close codes" in websockets.md.'),
        ),
        probes.close_code("WebSocket API"),
    ),
    Question(
        "A WebSocket at the stage with a slash",
        "websockets.md",
        "Does a WebSocket API take a handshake at /prod/, as CloudFront asks for it?",
        (
            Answer("taken", "Nothing: the CloudFront function of websockets.md is right."),
            Answer(
                "refused",
                "Take the origin path away in websockets.md, and set `uri = '/prod'` there.",
            ),
        ),
        probes.trailing_slash("WebSocket API"),
    ),
)

QUESTIONS: tuple[Question, ...] = (*FRONT_DOORS, *ENVIRONMENTS, *EVENTS, *WEBSOCKETS)


def ask(
    deployed: Deployed,
    questions: Sequence[Question] = QUESTIONS,
    patience: float = PATIENCE,
) -> dict[str, str]:
    """What was seen, by a question's id; "not answered: ..." where a probe failed or was too slow.

    AT_A_TIME probes run at a time. After `patience` seconds nobody waits for the rest: their
    threads end with the process.
    """
    seen: dict[str, str] = {}
    places = threading.Semaphore(AT_A_TIME)

    def answer(question: Question) -> None:
        with places:
            seen[question.id] = answered(question, deployed)

    threads = [threading.Thread(target=answer, args=(each,), daemon=True) for each in questions]
    for thread in threads:
        thread.start()
    end = time.monotonic() + patience
    for thread in threads:
        thread.join(max(end - time.monotonic(), 0.0))
    late = f"{NO_ANSWER}: there was no answer after {patience:g} s"
    return {question.id: seen.get(question.id, late) for question in questions}


def answered(question: Question, deployed: Deployed) -> str:
    """What one probe saw, or why it saw nothing."""
    try:
        seen = question.probe(deployed)
    except KeyError as missing:
        return f"{NO_ANSWER}: the stack has no {missing}"
    except Exception as error:  # whatever a network may do costs this answer only
        text = str(error).partition("\n")[0]
        return f"{NO_ANSWER}: {type(error).__name__}: {text}"
    known = any(seen.startswith(each.says) for each in question.answers)
    return seen if known else f"{NO_ANSWER}: an answer that nobody expected: {seen}"
