"""docs/verified.md: what AWS was asked, what it answered, and how to ask it again.

    python -m tests.aws.page  # writes the page as it is before a run

`make aws` writes it with the results.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import lamella
from tests.aws.questions import QUESTIONS, Question

PAGE = Path(__file__).parents[2] / "docs" / "verified.md"

NOT_YET = "Nobody has run it yet."


@dataclass(frozen=True)
class Facts:
    """Of a run: the day (2026-12-01), the region, what it cost in words, and Lamella's version."""

    date: str
    region: str
    cost: str
    version: str = lamella.__version__


HEAD = """# Verified on AWS

Some sentences of these pages are marked UNVERIFIED: AWS's documentation leaves a question open.
`make aws` asks AWS itself, and writes this page. {state}

## How to ask

```sh
make aws REGION=eu-west-1
```

You need an AWS account, and credentials that may make a CloudFormation stack with its roles,
functions, APIs and network.

1. The command says what the run costs, and asks whether to go on.
2. It makes one stack: a function behind each front door, on each runtime and both processors,
   buffered and streamed.
3. It runs the contract of `tests/contract` through each of them: what an application must see, and
   what a client must get.
4. It asks the questions below. Each one has a probe in `tests/aws/probes.py`. A probe that fails
   costs its own answer only.
5. It writes this page, and deletes the stack: also after a failure, or after Ctrl-C.

Then read the answers, do what the tables say, and commit the page with these changes. On the page
that asks a question, the word UNVERIFIED becomes "seen on AWS", and the link stays.

## The contract

{contract}

## The questions

The first answer of each table is the one that code and documentation assume today.
"""

BEFORE = f"""{NOT_YET} So nothing here is a result:
the page has the questions, and the answers that are possible."""
NO_CONTRACT = (
    "It has not run on AWS yet. Here it runs against uvicorn, `lamella run` and `sam local`."
)


def write(
    path: Path,
    answers: Mapping[str, str],
    contract: Mapping[str, Mapping[str, str]],
    facts: Facts | None,
) -> None:
    """Write the page.

    `answers` are those of `questions.ask`. `contract` has, for each front door, why each check
    failed, or "". Without `facts` nobody has run it, and the page says so.
    """
    state = BEFORE
    if facts is not None:
        state = (
            f"It was run on {facts.date} in {facts.region} with Lamella {facts.version}, "
            f"and cost {facts.cost}."
        )
    results = "\n".join(contract_table(contract)) if contract else NO_CONTRACT
    parts = [HEAD.format(state=state, contract=results)]
    for question in QUESTIONS:
        parts.append(section(question))
        if facts is not None:
            seen = answers.get(question.id, "not answered: it was not asked")
            parts.append(f"AWS's answer in {facts.region}, {facts.date}: **{public(seen)}**\n")
    path.write_text("\n".join(parts))


def section(question: Question) -> str:
    """A question and its possible answers."""
    rows = [f"| {each.says} | {each.then} |" for each in question.answers]
    head = [f"### {question.title}", "", f"{question.asks} ([{question.page}]({question.page}))"]
    return "\n".join([*head, "", "| answer | what to do then |", "|---|---|", *rows, ""])


def contract_table(contract: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """A row for each check and a column for each front door, then why checks failed.

    A check that a door was not asked for has no word.
    """
    checks = list(dict.fromkeys(check for results in contract.values() for check in results))
    yield f"| check | {' | '.join(contract)} |"
    yield "|---" * (len(contract) + 1) + "|"
    for check in checks:
        cells = (
            "" if check not in results else "failed" if results[check] else "passed"
            for results in contract.values()
        )
        yield f"| {check} | {' | '.join(cells)} |"
    yield ""
    failures = [
        f"- {check}, {door}: {public(why)}"
        for door, results in contract.items()
        for check, why in results.items()
        if why
    ]
    yield from failures or ["Every check passed."]


def public(text: str) -> str:
    """One line for the page, without what names the account."""
    text = re.sub(r"arn:[\w-]+:[^\s,'\"]+", "an ARN", " ".join(text.split()))
    return re.sub(r"\b\d{12}\b", "an account", text).replace("|", "/")


if __name__ == "__main__":
    write(PAGE, {}, {}, None)
