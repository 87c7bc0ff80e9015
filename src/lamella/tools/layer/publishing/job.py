"""One run of `lamella layer publish`: look at every region, then publish to all, or tell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import boto3
from rich.console import Console

from lamella.tools.layer.publishing import fleet, numbers, partitions, report, trouble
from lamella.tools.layer.publishing.access import Access
from lamella.tools.layer.publishing.fleet import Failed
from lamella.tools.layer.publishing.ledger import Entry, Ledger
from lamella.tools.layer.publishing.numbers import Latest
from lamella.tools.layer.publishing.parameter import Parameter
from lamella.tools.layer.publishing.region import CONFIG, Region, Tell
from lamella.tools.layer.publishing.release import load


class Order(NamedTuple):
    """What is asked for: the zip at `path` as the layer `name` in `regions`, each named once.

    `parameter` names an SSM parameter, and `ledger` a file that records what is published.
    """

    path: Path
    regions: list[str]
    name: str = "lamella"
    access: tuple[Access, ...] = ()
    profile: str | None = None
    parameter: str | None = None
    ledger: Path | None = None


class Job:
    """An order, what it publishes, and the regions that it publishes to.

    Raises PublishError when the zip is no layer or the regions cannot go together, and botocore's
    errors when no region tells the account.
    """

    def __init__(self, order: Order, console: Console) -> None:
        self.order = order
        self.console = console
        self.ledger = Ledger(order.ledger) if order.ledger else None
        self.release = load(order.path)
        session = boto3.Session(profile_name=order.profile)
        partition = partitions.partition_of(session, order.regions)
        upload, account = self.release.upload, _account(session, order.regions)
        for line in (
            f"Lamella {self.release.version}, {len(upload.data):,} bytes, sha256 {upload.sha256}",
            f"as layer {order.name} of account {account} in partition {partition}",
        ):
            console.print(line, markup=False, soft_wrap=True)
        # Clients are made here, because sessions are not for several threads.
        self.regions = [Region(session, region, order.name) for region in order.regions]
        self.parameters = {
            region: Parameter(session, region, order.parameter)
            for region in order.regions
            if order.parameter
        }

    def look(self) -> dict[str, Latest | Failed]:
        """Return what each region has."""

        def work(region: Region, tell: Tell) -> Latest:
            tell("looking")
            return region.latest()

        return fleet.each(self.regions, work, lambda _: 1, self.console)

    def tell(self, looked: Mapping[str, Latest | Failed]) -> None:
        """Print what `publish` would do, given what `look` returned."""
        wanted, digest = self._wanted(looked), self.release.upload.code_sha256
        order = self.order
        report.dry_run(
            self.console,
            {
                region: each
                if isinstance(each, Failed)
                else report.intention(each, digest, wanted, order.access, order.parameter)
                for region, each in looked.items()
            },
        )

    def publish(self, looked: Mapping[str, Latest | Failed]) -> dict[str, Latest | Failed]:
        """Publish to each region that `look` reached; returns what every region has now.

        The parameter is written once those who are asked for may use the version, and the region is
        recorded last: what a record or a parameter names is complete.
        """
        wanted, order, upload = self._wanted(looked), self.order, self.release.upload

        def work(region: Region, tell: Tell) -> Latest:
            made = region.publish(upload, wanted, tell)
            for who in order.access:
                tell(f"allowing {who.words}")
                region.allow(made.number, who)
            if parameter := self.parameters.get(region.name):
                tell(f"writing {parameter.name}")
                parameter.write(made.arn)
            if self.ledger:
                entry = Entry(made.arn, made.number, self.release.version, upload.sha256)
                self.ledger.record(order.name, region.name, entry)
            return made

        found = _found(looked)

        def steps(region: Region) -> int:
            fills = numbers.placeholders(found[region.name], wanted)
            return fills + 1 + len(order.access) + len(self.parameters) // len(self.regions)

        reached = [region for region in self.regions if region.name in found]
        results = {**looked, **fleet.each(reached, work, steps, self.console)}
        report.outcome(self.console, results)
        return results

    def _wanted(self, looked: Mapping[str, Latest | Failed]) -> int:
        """Return the number for every region, from those that were reached or are on record."""
        found = _found(looked)
        recorded = self.ledger.entries(self.order.name) if self.ledger else {}
        elsewhere = [entry.latest for region, entry in recorded.items() if region not in found]
        return numbers.target([*found.values(), *elsewhere], self.release.upload.code_sha256)


def _found(looked: Mapping[str, Latest | Failed]) -> dict[str, Latest]:
    return {region: each for region, each in looked.items() if isinstance(each, Latest)}


def _account(session: boto3.Session, regions: list[str]) -> str:
    """Return the number of the account that is published to, asking one region after another."""

    def ask() -> str:
        for region in regions:
            sts = session.client("sts", region_name=region, config=CONFIG)
            try:
                return str(sts.get_caller_identity()["Account"])
            except trouble.AWS_ERRORS as error:
                if region == regions[-1] or not trouble.passes(error):
                    raise
        raise AssertionError("there is no run without a region")

    return trouble.patiently(ask)
