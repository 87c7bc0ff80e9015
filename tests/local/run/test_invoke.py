"""`lamella invoke` against a running `lamella run`, and what it says where it cannot work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from lamella.tools.cli import main
from tests.local.command import Start


def invoke(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(main, ["invoke", *arguments], input=stdin)


def port_of(start: Start) -> str:
    return str(httpx.URL(start().url()).port)


def test_a_file_standard_input_and_an_error(start: Start, tmp_path: Path) -> None:
    port = port_of(start)
    (tmp_path / "event.json").write_text('{"do": "echo"}')
    done = invoke("--port", port, "--event", str(tmp_path / "event.json"))
    assert (done.exit_code, done.stderr) == (0, "other, attempt 1:\n")
    assert json.loads(done.stdout)["event"] == {"do": "echo"}
    failed = invoke("--port", port, "--event", "-", stdin='{"do": "error", "message": "no stock"}')
    assert (failed.exit_code, failed.stdout) == (1, "")
    assert "no stock" in failed.stderr
    assert failed.stderr.endswith("other: the caller gets the error.\n")


def test_the_failed_messages_of_a_queue_come_again(start: Start) -> None:
    port = port_of(start)
    event = json.loads(invoke("--sample", "sqs", "--print").stdout)
    failure = {"itemIdentifier": event["Records"][1]["messageId"]}
    wish = {"do": "result", "result": {"batchItemFailures": [failure]}}
    text = json.dumps({**event, **wish})
    done = invoke("--port", port, "--event", "-", stdin=text)
    assert done.exit_code == 1
    assert done.stderr.splitlines()[:3] == [
        "sqs, attempt 1, 3 records:",
        "sqs: 2 of 3 records are done. What failed comes again.",
        "sqs, attempt 2, 1 record:",
    ]
    assert done.stdout.count("batchItemFailures") == 3
    once = invoke("--port", port, "--event", "-", "--once", stdin=text)
    assert (once.exit_code, once.stdout.count("batchItemFailures")) == (1, 1)


def test_an_asynchronous_event_is_handed_over(start: Start) -> None:
    cli = start()
    port = str(httpx.URL(cli.url()).port)
    done = invoke("--port", port, "--event", "-", "--async", stdin='{"do": "echo"}')
    assert (done.exit_code, done.stdout) == (0, "")
    assert "see the log" in done.stderr
    cli.line("^event echo")


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        ([], "", "give one of --event FILE, --sample NAME and -- COMMAND"),
        (["--sample", "sqs", "--", "ls"], "", "give one of --event FILE"),
        (["--sample", "fax"], "", "'fax' is not one of 'sqs'"),
        (["--event", "-"], "{'do': 1}", "--event: the file is not JSON: Expecting property"),
        (["--sample", "sqs", "--port", "0"], "", "0 is not in the range"),
        (["--sample", "sqs", "--endpoint-url", "nowhere"], "", "--endpoint-url nowhere: Invalid"),
    ],
)
def test_what_it_is_called_wrongly_with(arguments: list[str], stdin: str, words: str) -> None:
    done = invoke(*arguments, stdin=stdin)
    assert done.exit_code == 2
    assert words in done.stderr


def test_where_nothing_listens_and_where_nobody_has_the_name(start: Start) -> None:
    nobody = invoke("--sample", "sqs", "--endpoint-url", "http://127.0.0.1:9")
    assert nobody.exit_code == 1
    assert "nothing answers at http://127.0.0.1:9: start `lamella run`" in nobody.stderr
    stranger = invoke("shop", "--port", port_of(start), "--sample", "sqs")
    assert stranger.exit_code == 1
    assert "ResourceNotFoundException" in stranger.stderr
    assert "serves the function 'local' here" in stranger.stderr


def test_a_command_that_the_function_does_not_take(start: Start) -> None:
    done = invoke("--port", port_of(start), "--", "ls", "-l")
    assert done.exit_code == 1
    assert "did not run the command, and answered {'statusCode': 200" in done.stderr
    assert "set ASGI_COMMANDS=on" in done.stderr


def test_a_deployed_function_is_asked_for_with_the_user_s_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Any] = []

    class Session:
        region_name = None

        def __init__(self, profile_name: str | None) -> None:
            asked.append(profile_name)

        def client(self, *arguments: Any, **_options: Any) -> Any:
            asked.append(arguments)
            raise SystemExit(7)

    monkeypatch.setattr("boto3.Session", Session)
    monkeypatch.delenv("AWS_REGION", raising=False)
    done = invoke("shop", "--sample", "sqs", "--profile", "me", "--region", "eu-west-1")
    assert (done.exit_code, asked) == (7, ["me", ("lambda", "eu-west-1")])
    nowhere = invoke("shop", "--sample", "sqs")
    assert "there is no region: give --region, or set AWS_REGION" in nowhere.stderr
