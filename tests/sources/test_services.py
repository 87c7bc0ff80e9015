"""Which service an event came from: the samples' names, and events that could mislead."""

from __future__ import annotations

from typing import Any

import pytest

from lamella.sources.services import BY_EVENT_SOURCE, BY_KEYS, OTHER, service_of
from lamella.testing import events
from tests.sources import samples

SAMPLES = {
    "lwa__bedrock-agent-fastapi-s3_object": "bedrock-agent",
    "powertools__apiGatewayAuthorizerRequestEvent": "apigateway-authorizer",
    "powertools__apiGatewayAuthorizerTokenEvent": "apigateway-authorizer",
    "powertools__apiGatewayAuthorizerV2Event": "apigateway-authorizer",
    "powertools__bedrockAgentEvent": "bedrock-agent",
    "powertools__cognitoPostAuthenticationEvent": "cognito",
    "powertools__dynamoStreamEvent": "dynamodb",
    "powertools__eventBridgeEvent": "eventbridge",
    "powertools__kafkaEventMsk": "kafka",
    "powertools__s3Event": "s3",
    "powertools__snsEvent": "sns",
    "powertools__sqsEvent": "sqs",
    "rust__sqs-batch-response": OTHER,
    "samcli__cloudwatch-ScheduledEvent": "eventbridge",
    "samcli__dynamodb-DynamoDBUpdate": "dynamodb",
    "samcli__kinesis-Kinesis": "kinesis",
    "samcli__s3-S3Put": "s3",
    "samcli__sns-Sns": "sns",
    "samcli__sqs-Sqs": "sqs",
}


@samples.needed
@pytest.mark.parametrize(("name", "service"), SAMPLES.items())
def test_the_samples(name: str, service: str) -> None:
    assert service_of(samples.load(f"{name}.json")) == service


EVENTS: dict[str, tuple[Any, str]] = {
    "sqs": (events.sqs(bodies=["x"]), "sqs"),
    "sns": (events.sns(message="x"), "sns"),
    "eventbridge": (events.event_bridge(), "eventbridge"),
    "scheduler": (
        {
            "version": "0",
            "detail-type": "Scheduled Event",
            "source": "aws.scheduler",
            "detail": "{}",
        },
        "scheduler",
    ),
    "pipes": ([{"messageId": "1", "eventSource": "aws:sqs", "body": "x"}], "sqs"),
    "logs": ({"awslogs": {"data": "H4sI"}}, "cloudwatch-logs"),
    "kafka": ({"eventSource": "SelfManagedKafka", "records": {}}, "kafka"),
    "states": ({"Execution": {"Id": "arn:aws:states:x"}, "StateMachine": {}}, "step-functions"),
    "destination": (
        {"requestContext": {"functionArn": "arn"}, "requestPayload": {}, "responsePayload": {}},
        "lambda-destination",
    ),
    "origin-response": (
        {"Records": [{"cf": {"request": {"uri": "/"}, "response": {"status": "200"}}}]},
        "cloudfront",
    ),
    "connect": ({"Name": "ContactFlowEvent", "Details": {}}, "connect"),
    "no-connect": ({"Name": "Ada"}, OTHER),
    "null": (None, OTHER),
    "text": ("aws:sqs", OTHER),
    "empty": ({}, OTHER),
    "empty-list": ([], OTHER),
    "records-empty": ({"Records": []}, OTHER),
    "records-text": ({"Records": ["aws:sqs"]}, OTHER),
    "stranger": ({"Records": [{"eventSource": "aws:sqs\r\n"}]}, OTHER),
    "list-of-marks": ([{}, "awslogs"], OTHER),  # values of a list, no keys
    "odd": ({"Records": [{"eventSource": ["aws:sqs"]}]}, OTHER),
}


@pytest.mark.parametrize(("event", "service"), EVENTS.values(), ids=EVENTS)
def test_marks(event: Any, service: str) -> None:
    assert service_of(event) == service


def test_a_name_can_be_a_segment_of_a_path() -> None:
    names = {*BY_EVENT_SOURCE.values(), *(name for name, _ in BY_KEYS), OTHER}
    assert all(name.replace("-", "").isalnum() and name == name.lower() for name in names)


@pytest.mark.parametrize(("name", "marks"), BY_KEYS)
def test_every_row_can_be_reached(name: str, marks: dict[str, Any]) -> None:
    """No row is hidden by one before it."""
    assert service_of({key: value or "x" for key, value in marks.items()}) == name
