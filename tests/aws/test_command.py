"""`make aws` from its first question to the page: moto is AWS, and `lamella run` its doors."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from tests.aws import __main__ as aws_command
from tests.aws import stack
from tests.aws.conftest import At, Client, Left, RefusingLambda, Run
from tests.aws.transports import InvokeTransport
from tests.contract.checks import Target
from tests.contract.judges import LOCAL

ASKED = len(LOCAL["Function URL"].asked)
"""The checks for a door that is asked by Invoke as well."""

pytestmark = pytest.mark.timeout(600)  # moto is imported with its first request


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Gives the command a terminal, and what a person types there."""

    def types(text: str) -> None:
        stdin = io.StringIO(text)
        monkeypatch.setattr(stdin, "isatty", lambda: True)
        monkeypatch.setattr(sys, "stdin", stdin)

    return types


CALL = BaseClient._make_api_call  # type: ignore[attr-defined]  # botocore's stubs lack it


def to_local(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
    """Call AWS, but give the local Lambda's function the name that it has."""
    named = {"FunctionName": "local"} if operation == "Invoke" else {}
    return CALL(client, operation, parameters | named)


def test_the_contract_runs_at_every_door_and_the_page_has_it(
    run: Run,
    left: Left,
    opt: Path,
    template: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ExitStack() as doors:
        streamed = doors.enter_context(LOCAL["Function URL, streamed"].serve(opt))
        buffered = doors.enter_context(LOCAL["Function URL"].serve(opt))
        # Events go to the same local Lambda, whatever the function's name is.
        monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", streamed.url)
        monkeypatch.setattr(BaseClient, "_make_api_call", to_local)
        path = template(OneLine=streamed.url, ByHandler=buffered.url)
        ran = run("--yes", path=path)
        assert ran.status == 0, ran.output
    monkeypatch.delenv("AWS_ENDPOINT_URL_LAMBDA")
    assert left() == []
    assert f"one line: {ASKED} of {ASKED} checks passed." in ran.output
    assert f"handler: {ASKED} of {ASKED} checks passed." in ran.output
    assert f"The contract: {2 * ASKED} of {2 * ASKED} checks passed." in ran.output
    page = (tmp_path / "verified.md").read_text()
    assert "| streams | passed | passed |" in page
    assert "eu-west-1" in page
    assert "US dollars" in page


def test_a_failed_check_is_the_exit_status_and_on_the_page(run: Run, tmp_path: Path) -> None:
    ran = run("--yes")  # nobody is behind the door
    assert ran.status == 1
    assert f"one line: 0 of {ASKED} checks passed." in ran.output
    assert "  failed  texts: ConnectError:" in ran.output
    assert "| texts | failed |" in (tmp_path / "verified.md").read_text()


def test_a_door_that_cannot_even_be_asked_costs_its_own_checks_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """VPC Lattice is asked by Invoke, whose errors are botocore's."""
    throttled = RefusingLambda("TooManyRequestsException", 429)
    monkeypatch.setattr(stack, "PAUSE", 0.01)
    monkeypatch.setattr(aws_command, "SETTLE", 0.05)
    target = Target("http://any", transport=partial(InvokeTransport, throttled, "client"))
    results = aws_command.checked("VPC Lattice", target)
    assert all(why.startswith("ClientError: ") for why in results.values())
    assert f"VPC Lattice: 0 of {len(results)} checks passed." in capsys.readouterr().out


def test_the_price_is_said_before_the_question(
    run: Run, left: Left, terminal: Callable[[str], None]
) -> None:
    terminal("n\n")
    ran = run()
    assert ran.status == 2
    assert ran.output.index("US dollars for an hour") < ran.output.index("Go on? [y/N]")
    assert ran.output.endswith("Nothing was made.\n")
    assert left() == []


def test_yes_goes_on(run: Run, terminal: Callable[[str], None]) -> None:
    terminal("y\n")
    ran = run()
    assert "Making the stack lamella-verify-" in ran.output
    assert ran.status == 1  # of the contract


def test_a_terminal_that_ends_says_no(run: Run, terminal: Callable[[str], None]) -> None:
    terminal("")
    assert run().output.endswith("Nothing was made.\n")


def test_without_a_terminal_it_says_how_to_say_yes(
    run: Run, left: Left, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    ran = run()
    assert ran.status == 2
    assert "Nobody can be asked without a terminal: make aws YES=1 says yes." in ran.output
    assert left() == []


def test_leftovers_are_not_deleted_without_a_yes(
    run: Run, left: Left, aws: Client, terminal: Callable[[str], None]
) -> None:
    where = {"LocationConstraint": "eu-west-1"}
    aws("s3").create_bucket(Bucket="lamella-verify-89abcdef", CreateBucketConfiguration=where)
    terminal("n\n")
    ran = run("--delete")
    assert ran.status == 0
    assert "Nothing was deleted." in ran.output
    assert left() == ["lamella-verify-89abcdef"]


def test_without_credentials_it_says_where_they_come_from(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    ran = run("--yes")
    assert ran.status == 2
    assert "AWS cannot be asked: Unable to locate credentials" in ran.output
    assert "from aws sso login" in ran.output


def test_an_unknown_profile_is_named(run: Run) -> None:
    ran = run("--yes", "--profile", "nobody")
    assert ran.status == 2
    assert "The config profile (nobody) could not be found" in ran.output
    assert "PROFILE=" in ran.output


def test_a_region_that_is_none_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    ran = run("--yes", "--region", "no region")
    assert ran.status == 2
    assert "no region" in ran.output
    assert "REGION=eu-west-1" in ran.output


def test_without_a_region_it_asks_for_one(aws: Client, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        aws_command.main(["--yes"])
    assert ended.value.code == 2
    assert capsys.readouterr().out == "There is no region: make aws REGION=eu-west-1\n"


def test_refused_credentials_say_what_to_renew(run: Run, at: At) -> None:
    def refuse() -> None:
        why: Any = {"Code": "ExpiredToken", "Message": "The security token is expired"}
        raise ClientError({"Error": why}, "GetCallerIdentity")

    at["before GetCallerIdentity 1"] = refuse
    ran = run("--yes")
    assert ran.status == 2
    assert "AWS refuses the credentials: An error occurred (ExpiredToken)" in ran.output
    assert "aws sso login" in ran.output
