"""The events of services that `lamella invoke` and the test kit make, beside AWS's own samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lamella.local.events.samples import SAMPLES
from tests.sources import samples

AWS = {
    "sqs": "powertools__sqsEvent",
    "sns": "powertools__snsEvent",
    "s3": "samcli__s3-S3Put",
    "eventbridge": "powertools__eventBridgeEvent",
    "schedule": "samcli__cloudwatch-ScheduledEvent",
    "dynamodb": "samcli__dynamodb-DynamoDBUpdate",
    "kinesis": "samcli__kinesis-Kinesis",
    "kafka": "powertools__kafkaEventMsk",
    "bedrock-agent": "powertools__bedrockAgentEvent",
}

USERS = {
    *("messageAttributes", "MessageAttributes", "detail", "Keys", "NewImage", "headers"),
    *("sessionAttributes", "promptSessionAttributes"),
}
"""Fields whose content is the user's own."""

OLDER = {"replay-name", "version", "parameters"}
"""Only in some: a replayed event's, and what a schedule's and a GET's sample leave out."""


def fields(value: Any, path: str = "") -> Iterator[str]:
    """Every field's path; of a list, its first item's."""
    if isinstance(value, list):
        yield from fields(value[0], f"{path}[]") if value else ()
    elif isinstance(value, dict):
        for name, item in value.items():
            here = f"{path}.{'*' if name.endswith('topic-0') else name}"
            if name not in OLDER:
                yield here
                yield from () if name in USERS else fields(item, here)


@samples.needed
@pytest.mark.parametrize("name", AWS)
def test_an_event_has_the_fields_of_aws_s_sample_and_no_other(name: str) -> None:
    ours, theirs = SAMPLES[name](), samples.load(f"{AWS[name]}.json")
    assert set(fields(ours)) == set(fields(theirs))
