"""Which AWS service an event that is not HTTP came from: one table of names and marks.

Marks are from AWS's samples (Lambda's and each service's developer guide) and from `sam local
generate-event`. A function that is invoked directly gets whatever its caller writes: a name says
what an event looks like, and the permission to invoke says who may send it.
"""

from __future__ import annotations

from typing import Any

from lamella.types import Event

OTHER = "other"
"""An event without a mark: a direct invocation, Step Functions' own input, a rule of AWS IoT."""

BY_EVENT_SOURCE = {
    "aws:sqs": "sqs",
    "aws:sns": "sns",
    "aws:s3": "s3",
    "aws:dynamodb": "dynamodb",
    "aws:kinesis": "kinesis",
    "aws:kafka": "kafka",
    "SelfManagedKafka": "kafka",
    "aws:mq": "mq",
    "aws:rmq": "mq",
    "aws:docdb": "documentdb",
    "aws:ses": "ses",
    "aws:codecommit": "codecommit",
}
"""The `eventSource` of the first record, or of the event; SNS writes `EventSource`."""

BY_KEYS: tuple[tuple[str, dict[str, str | None]], ...] = (
    ("scheduler", {"source": "aws.scheduler", "detail-type": None}),
    ("eventbridge", {"source": None, "detail-type": None}),
    ("cloudwatch-logs", {"awslogs": None}),
    ("cloudwatch-alarms", {"alarmArn": None, "alarmData": None}),
    ("cognito", {"triggerSource": None, "userPoolId": None}),
    ("cognito", {"identityPoolId": None, "datasetRecords": None}),
    ("bedrock-agent", {"messageVersion": None, "actionGroup": None}),
    ("step-functions", {"Execution": None, "StateMachine": None}),
    ("durable", {"DurableExecutionArn": None, "CheckpointToken": None}),
    ("firehose", {"deliveryStreamArn": None, "records": None}),
    ("iot", {"protocolData": None, "connectionMetadata": None}),
    ("iot", {"templateArn": None, "certificateId": None}),
    ("iot", {"serialNumber": None, "clickType": None}),
    ("iot", {"deviceInfo": None, "deviceEvent": None}),
    ("apigateway-authorizer", {"methodArn": None}),
    ("apigateway-authorizer", {"routeArn": None}),
    ("appsync", {"info": None, "arguments": None}),
    ("cloudformation", {"RequestType": None, "ResponseURL": None}),
    ("lambda-destination", {"requestPayload": None, "requestContext": None}),
    ("s3-object-lambda", {"getObjectContext": None, "userRequest": None}),
    ("s3-batch", {"invocationSchemaVersion": None, "tasks": None}),
    ("secretsmanager", {"SecretId": None, "ClientRequestToken": None}),
    ("config", {"invokingEvent": None, "resultToken": None}),
    ("codepipeline", {"CodePipeline.job": None}),
    ("codedeploy", {"DeploymentId": None, "LifecycleEventHookExecutionId": None}),
    ("connect", {"Name": "ContactFlowEvent"}),
    ("lex", {"bot": None, "sessionState": None}),
    ("lex", {"bot": None, "currentIntent": None}),
    ("alexa", {"version": None, "context": None, "request": None}),
)
"""The keys that mark an event, and the value that a key must have where one is named; the first
row that fits counts."""


def service_of(event: Any) -> str:
    """The name of the service that `event` came from, `OTHER` where it has no mark.

    EventBridge Pipes hand on a list of records as it is.
    """
    whole: Event = event if isinstance(event, dict) else {"Records": event}
    records = whole.get("Records")
    first = records[0] if isinstance(records, list) and records else whole
    if not isinstance(first, dict):
        return OTHER
    if "cf" in first:  # what CloudFront asks before or after the origin answers
        return "cloudfront"
    written = str(first.get("eventSource") or first.get("EventSource"))
    if written in BY_EVENT_SOURCE:
        return BY_EVENT_SOURCE[written]
    for name, marks in BY_KEYS:
        if all(key in whole and value in (None, whole[key]) for key, value in marks.items()):
            return name
    return OTHER
