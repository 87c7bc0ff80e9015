"""Publish the layer to AWS regions: `python -m layer.publish --regions "eu-west-1 us-east-1"`.

Without --yes it reads, says what it would do, and changes nothing. It is safe to run again
after a failure: a region whose newest version has the same content is left as it is.
docs/publishing.md says more. Needs the environment that `make env` makes.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import boto3
from rich.console import Console

from layer.build import ROOT, ZIP
from layer.publishing import PublishError, access, fleet, numbers, partitions, report, trouble
from layer.publishing.fleet import Failed
from layer.publishing.ledger import Entry, Ledger
from layer.publishing.numbers import Latest
from layer.publishing.region import CONFIG, Region, Tell
from layer.publishing.release import Release, load

LAYERS = ROOT / "layer" / "layers.json"


class Job:
    """One run: what is published, where to, and for whom."""

    def __init__(self, options: argparse.Namespace, release: Release, console: Console) -> None:
        self.options = options
        self.release = release
        self.console = console
        self.ledger = Ledger(options.layers)

    def wanted(self, found: Mapping[str, Latest]) -> int:
        """Return the number for every region, from those `found` and those on record."""
        recorded = self.ledger.entries(self.options.layer)
        elsewhere = [entry.latest for region, entry in recorded.items() if region not in found]
        return numbers.target([*found.values(), *elsewhere], self.release.upload.code_sha256)

    def look(self, regions: Sequence[Region]) -> dict[str, Latest | Failed]:
        """Return what each region has."""

        def work(region: Region, tell: Tell) -> Latest:
            tell("looking")
            return region.latest()

        return fleet.each(regions, work, lambda _: 1, self.console)

    def publish(
        self, regions: Sequence[Region], found: Mapping[str, Latest]
    ) -> dict[str, Latest | Failed]:
        """Publish to `regions`, allow who is asked for, and record each region when it is done."""
        wanted = self.wanted(found)

        def work(region: Region, tell: Tell) -> Latest:
            made = region.publish(self.release.upload, wanted, tell)
            for who in self.options.access:
                tell(f"allowing {who.words}")
                region.allow(made.number, who)
            entry = Entry(made.arn, made.number, self.release.version, self.release.upload.sha256)
            self.ledger.record(self.options.layer, region.name, entry)
            return made

        def steps(region: Region) -> int:
            fills = numbers.placeholders(found[region.name], wanted)
            return fills + 1 + len(self.options.access)

        return fleet.each(regions, work, steps, self.console)

    def intention(self, latest: Latest, found: Mapping[str, Latest]) -> str:
        """Return in words what `publish` would do in a region that has `latest`."""
        digest = self.release.upload.code_sha256
        return report.intention(latest, digest, self.wanted(found), self.options.access)


def run(options: argparse.Namespace, console: Console) -> int:
    """Do what `options` say; returns the exit status, 1 when a region failed.

    Raises PublishError when nothing can be published at all.
    """
    job = Job(options, load(options.zip), console)
    session = boto3.Session(profile_name=options.profile)
    partition = partitions.partition_of(session, options.regions)
    _announce(job, _account(session, options.regions), partition)
    regions = [Region(session, name, options.layer) for name in options.regions]
    looked = job.look(regions)
    found = {name: latest for name, latest in looked.items() if isinstance(latest, Latest)}
    if not options.yes:
        report.dry_run(
            console,
            {
                region: each if isinstance(each, Failed) else job.intention(each, found)
                for region, each in looked.items()
            },
        )
        return int(len(found) < len(regions))
    reachable = [region for region in regions if region.name in found]
    results = {**looked, **job.publish(reachable, found)}
    report.outcome(console, results)
    return int(any(isinstance(result, Failed) for result in results.values()))


def main(argv: list[str] | None = None) -> int:
    """Publish; returns the exit status: 0, or 1 when a region or everything failed."""
    options = _parser().parse_args(argv)
    try:
        return run(options, Console(highlight=False))
    except (*trouble.AWS_ERRORS, PublishError) as error:
        Console(stderr=True, highlight=False).print(
            trouble.explain(error), markup=False, soft_wrap=True
        )
    return 1


def _announce(job: Job, account: str, partition: str) -> None:
    upload, layer = job.release.upload, job.options.layer
    for line in [
        f"Lamella {job.release.version}, {len(upload.data):,} bytes, sha256 {upload.sha256}",
        f"as layer {layer} of account {account} in partition {partition}",
    ]:
        job.console.print(line, markup=False, soft_wrap=True)


def _account(session: boto3.Session, regions: Sequence[str]) -> str:
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m layer.publish",
        description="Publish the layer to AWS regions; without --yes, only say what that would do.",
    )
    parser.add_argument(
        "--regions", required=True, type=_regions, help='such as "eu-west-1 us-east-1"'
    )
    parser.add_argument("--yes", action="store_true", help="really publish")
    parser.add_argument(
        "--access",
        action="extend",
        default=[],
        type=_access,
        help="who may use it besides the account: account:123456789012, organization:o-..., "
        "public, or several of them",
    )
    parser.add_argument("--zip", type=Path, default=ZIP, help="the layer (%(default)s)")
    parser.add_argument("--layer", default="lamella", help="the layer's name (%(default)s)")
    parser.add_argument("--layers", type=Path, default=LAYERS, help="the record (%(default)s)")
    parser.add_argument("--profile", help="of AWS's shared configuration files")
    return parser


def _regions(text: str) -> list[str]:
    names = _words(text)
    if not names:
        raise argparse.ArgumentTypeError("name at least one region")
    return names


def _access(text: str) -> list[access.Access]:
    try:
        return [access.parse(word) for word in _words(text)]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _words(text: str) -> list[str]:
    """Return the words of `text`, once each, apart by spaces or commas."""
    return list(dict.fromkeys(re.findall(r"[^\s,]+", text)))


if __name__ == "__main__":
    sys.exit(main())
