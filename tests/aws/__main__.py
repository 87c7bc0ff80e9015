"""`make aws`: one stack of every front door, the contract and the questions against it, and a page.

It says what that costs, asks, deploys, writes docs/verified.md, and deletes what it made, also
after a failure, Ctrl-C or SIGTERM. The exit status is 1 if a check of the contract failed.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from layer import build
from tests.aws import cost, doors, page, questions, stack
from tests.aws.deployed import Deployed
from tests.aws.interrupts import Interrupts, Stopped, interrupts
from tests.contract.__main__ import run
from tests.contract.checks import Target

PAGE = build.ROOT / "docs" / "verified.md"

SETTLE = 180.0
"""Seconds until a new name and a new permission are known everywhere."""

SLOW = (
    "CloudFront and the network interfaces of functions are deleted slowly: 10 to 40 minutes. "
    "Ctrl-C stops the waiting, and CloudFormation goes on."
)


class Refused(Exception):
    """Nothing was made; the message says what to change."""


class Account:
    """Where AWS is reached, and with which words a person reaches the same."""

    def __init__(self, session: boto3.Session, profile: str | None) -> None:
        self.region: str = session.region_name
        self.profile = profile
        self._session = session
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def client(self, service: str) -> Any:
        """boto3's client of a service. An invocation may take two minutes."""
        with self._lock:  # a session makes one client at a time, and probes run at a time
            if service not in self._clients:
                config = Config(connect_timeout=10, read_timeout=150, retries={"mode": "standard"})
                self._clients[service] = self._session.client(  # type: ignore[call-overload]
                    service, region_name=self.region, config=config
                )
            return self._clients[service]

    def deletes(self) -> str:
        """The command that deletes what a run has left."""
        profile = f" --profile {self.profile}" if self.profile else ""
        return f"{sys.executable} -m tests.aws --delete --region {self.region}{profile}"


def main(arguments: list[str] | None = None, template: Path = stack.TEMPLATE) -> None:
    """Run the command."""
    options = parsed(arguments)
    with interrupts() as signals:
        try:
            status = verify(options, template, signals)
        except Refused as error:
            tell(str(error))
            status = 2
        except (BotoCoreError, ClientError) as error:
            tell(f"AWS: {error}")
            status = 1
        except Stopped as stopped:
            tell(f"Ended by {stopped}.")
            status = 128 + stopped.number
    sys.exit(status)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.aws", description=__doc__)
    parser.add_argument("--region", help="where to, unless variables or the profile say so")
    parser.add_argument("--profile", help="of AWS's configuration files")
    parser.add_argument("--yes", action="store_true", help="ask nothing")
    parser.add_argument(
        "--keep", action="store_true", help="leave the stack, which goes on to cost"
    )
    parser.add_argument("--delete", action="store_true", help="only delete what runs have left")
    parser.add_argument("--no-preview", action="store_true", help="no function for Python 3.15")
    parser.add_argument("--no-durable", action="store_true", help="no durable function")
    parser.add_argument("--layer", type=Path, default=build.ZIP, metavar="ZIP")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE")
    return parser.parse_args(arguments)


def chosen(options: argparse.Namespace) -> dict[str, str]:
    """The template's parameters for what the person left out: not every region has all of it."""
    left_out = {"Preview": options.no_preview, "DurableFunctions": options.no_durable}
    return {name: "false" for name, out in left_out.items() if out}


def verify(options: argparse.Namespace, template: Path, signals: Interrupts) -> int:
    """Do what the options say; the exit status."""
    account = signed_in(options.region, options.profile)
    left = stack.leftovers(account.client)
    for name, what in left.items():
        tell(f"An earlier run has left {name} in {account.region}: {what}.")
    if left and agreed("Delete it? A run that goes on elsewhere would lose its stack.", options):
        if not delete(account, list(left), signals):
            return 1
    elif options.delete:
        tell("Nothing was deleted." if left else f"Nothing is left in {account.region}.")
    if options.delete:
        return 0
    tell(cost.said())
    if not agreed("Go on?", options):
        raise Refused("Nothing was made.")
    with tempfile.TemporaryDirectory() as folder:
        zips = stack.Zips.packed(options.layer, Path(folder))
    return deploy(account, zips, options, template, signals)


def deploy(
    account: Account,
    zips: stack.Zips,
    options: argparse.Namespace,
    template: Path,
    signals: Interrupts,
) -> int:
    """Make the stack, see what it does, and delete it whatever happens; the exit status."""
    name = stack.new_name()
    begun = time.monotonic()
    gone = failed = True
    # The two `finally` are one step: where a signal comes before the inner one is done, it has
    # made `signals` deaf itself, so that none can come before the outer one.
    try:
        try:
            tell(f"Making the stack {name} in {account.region}: 5 to 15 minutes.")
            made = stack.make(
                account.client, name, zips, tell, template=template, parameters=chosen(options)
            )
            targets = doors.targets(made.outputs, made.functions, account.client)
            deployed = Deployed(targets, made.functions, account.client, made.outputs)
            contract = {each: checked(each, target) for each, target in targets.items()}
            tell("Asking the questions.")
            answers = questions.ask(deployed)
            spent = cost.estimate((time.monotonic() - begun) / 3600)
            today = f"{datetime.now(UTC):%Y-%m-%d}"
            facts = page.Facts(today, account.region, f"about {spent:.2f} US dollars")
            page.write(options.page, answers, contract, facts)
            tell(f"{options.page} is written: commit it.")
            failed = summed_up(contract, answers)
        finally:
            signals.deaf = True
    except stack.StackError as error:
        tell(str(error))
    finally:
        if options.keep:
            tell(f"{name} is left, and goes on costing. This deletes it: {account.deletes()}")
        else:
            gone = delete(account, [name], signals)
    return int(failed or not gone)


def signed_in(region: str | None, profile: str | None) -> Account:
    """The account and the region, both tried. Raises Refused."""
    try:
        session = boto3.Session(profile_name=profile, region_name=region)
        if session.region_name is None:
            raise Refused("There is no region: make aws REGION=eu-west-1")
        account = Account(session, profile)
        who = account.client("sts").get_caller_identity()
    except ClientError as error:
        raise Refused(
            f"AWS refuses the credentials: {error}\n"
            "Sign in anew (aws sso login, aws configure), or name another profile: PROFILE=..."
        ) from None
    except (BotoCoreError, ValueError) as error:
        raise Refused(
            f"AWS cannot be asked: {error}\n"
            "Credentials come from a profile (PROFILE=...), from variables (AWS_ACCESS_KEY_ID) or "
            "from aws sso login. The region has to be one of AWS's (REGION=eu-west-1)."
        ) from None
    tell(f"Account {who['Account']}, as {who['Arn']}, region {account.region}.")
    return account


def agreed(question: str, options: argparse.Namespace) -> bool:
    """Ask a person, unless the command says yes. Raises Refused where nobody can be asked."""
    if options.yes:
        return True
    if not sys.stdin.isatty():
        raise Refused(
            f"{question} Nobody can be asked without a terminal: make aws YES=1 says yes."
        )
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def checked(name: str, target: Target) -> dict[str, str]:
    """The contract's results of a target."""
    settle(target)
    results = run(target)
    failed = {check: why for check, why in results.items() if why}
    tell(f"{name}: {len(results) - len(failed)} of {len(results)} checks passed.")
    for check, why in failed.items():
        tell(f"  failed  {check}: {why}")
    return results


def settle(target: Target) -> None:
    """Wait until the target answers, or for SETTLE seconds."""
    end = time.monotonic() + SETTLE
    while target.url and time.monotonic() < end:
        try:
            if target.ask("GET", "/text").status_code == 200:
                return
        except (httpx.HTTPError, BotoCoreError, ClientError):  # Lattice is asked through Lambda
            pass
        time.sleep(stack.PAUSE)


def summed_up(contract: Mapping[str, Mapping[str, str]], answers: Mapping[str, str]) -> bool:
    """Print what came out; whether a check failed."""
    results = [why for results in contract.values() for why in results.values()]
    failed = sum(bool(why) for why in results)
    tell(f"The contract: {len(results) - failed} of {len(results)} checks passed.")
    tell(f"The questions: {len(answers)} were asked.")
    return failed > 0


def delete(account: Account, names: list[str], signals: Interrupts) -> bool:
    """Delete these runs' stacks and buckets; whether they are gone."""
    signals.deaf = True
    client, problems = account.client, []
    for name in names:
        tell(f"Deleting {name}.")
        problems += stack.begin_deletion(client, name)
    tell(SLOW)
    signals.hear()
    try:
        for name in names:
            problems += stack.deleted(client, name, tell)
    except (BotoCoreError, ClientError) as error:
        problems.append(f"Nobody knows whether it is deleted: {error}")
    except Stopped:
        tell(f"CloudFormation goes on. This looks whether it ended well: {account.deletes()}")
        raise
    for problem in problems:
        tell(problem)
    tell(f"Try it again: {account.deletes()}" if problems else "All of it is deleted.")
    return not problems


def tell(text: str) -> None:
    """Print, but do not end a deletion because the terminal, or `tee`, has ended."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


if __name__ == "__main__":
    main()
