"""Events of services that are no front door, as AWS's documentation shows them.

Each is named as `scope["extensions"]["lamella.event"]` names it, with `_` for `-`.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Event = dict[str, Any]

REGION = "us-east-1"
ACCOUNT = "123456789012"
TIME = "2026-01-01T00:00:00Z"
EPOCH = 1767225600


def _arn(service: str, name: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}"


def _packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


def sqs(
    *, bodies: Iterable[str] = ("{}",), queue: str = "queue", groups: Iterable[str] = ()
) -> Event:
    """A batch of SQS messages; message ids are new ones.

    A queue whose name ends in `.fifo` has a group for each message: those of `groups`, in order.
    """
    records = [_sqs_record(body, queue) for body in bodies]
    if queue.endswith(".fifo"):
        named = [*groups, *["group"] * len(records)]
        for number, (record, group) in enumerate(zip(records, named, strict=False)):
            order = {"MessageGroupId": group, "SequenceNumber": f"{number + 1:020}"}
            record["attributes"] |= {**order, "MessageDeduplicationId": record["messageId"]}
    return {"Records": records}


def _sqs_record(body: str, queue: str) -> Event:
    return {
        "messageId": str(uuid.uuid4()),
        "receiptHandle": "MessageReceiptHandle",
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": f"{EPOCH}000",
            "SenderId": ACCOUNT,
            "ApproximateFirstReceiveTimestamp": f"{EPOCH}001",
        },
        "messageAttributes": {},
        "md5OfBody": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
        "eventSource": "aws:sqs",
        "eventSourceARN": _arn("sqs", queue),
        "awsRegion": REGION,
    }


def sns(*, message: str = "{}", subject: str | None = None, topic: str = "topic") -> Event:
    """An SNS notification."""
    arn = _arn("sns", topic)
    notification: Event = {
        "Type": "Notification",
        "MessageId": str(uuid.uuid4()),
        "TopicArn": arn,
        "Subject": subject,
        "Message": message,
        "Timestamp": "2026-01-01T00:00:00.000Z",
        "SignatureVersion": "1",
        "Signature": "EXAMPLE",
        "SigningCertUrl": f"https://sns.{REGION}.amazonaws.com/SimpleNotificationService.pem",
        "UnsubscribeUrl": f"https://sns.{REGION}.amazonaws.com/?Action=Unsubscribe",
        "MessageAttributes": {},
    }
    record = {
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": f"{arn}:{uuid.uuid4()}",
        "Sns": notification,
    }
    return {"Records": [record]}


def s3(
    *, key: str = "folder/file.txt", bucket: str = "bucket", name: str = "ObjectCreated:Put"
) -> Event:
    """A notification of S3 about an object; `key` as it is, which the event has URL-encoded."""
    from urllib.parse import quote_plus

    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": REGION,
        "eventTime": "2026-01-01T00:00:00.000Z",
        "eventName": name,
        "userIdentity": {"principalId": "EXAMPLE"},
        "requestParameters": {"sourceIPAddress": "203.0.113.7"},
        "responseElements": {"x-amz-request-id": "EXAMPLE", "x-amz-id-2": "EXAMPLE"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "uploads",
            "bucket": {
                "name": bucket,
                "ownerIdentity": {"principalId": "EXAMPLE"},
                "arn": f"arn:aws:s3:::{bucket}",
            },
            "object": {
                "key": quote_plus(key, safe="/"),
                "size": 1024,
                "eTag": "0123456789abcdef0123456789abcdef",
                "sequencer": "0A1B2C3D4E5F678901",
            },
        },
    }
    return {"Records": [record]}


def event_bridge(
    *,
    detail: Mapping[str, Any] | None = None,
    detail_type: str = "Scheduled Event",
    source: str = "aws.events",
) -> Event:
    """An EventBridge event; by default that of a rule with a schedule."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": ACCOUNT,
        "time": TIME,
        "region": REGION,
        "resources": [_arn("events", "rule/rule")] if source == "aws.events" else [],
        "detail": dict(detail or {}),
    }


def scheduler(*, detail: str = "{}", schedule: str = "schedule") -> Event:
    """An EventBridge Scheduler event, of a schedule without an input of its own."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": ACCOUNT,
        "time": TIME,
        "region": REGION,
        "resources": [_arn("scheduler", f"schedule/default/{schedule}")],
        "detail": detail,
    }


def dynamodb(*, items: Iterable[Mapping[str, Any]] = ({"id": {"S": "1"}},)) -> Event:
    """A batch of a DynamoDB stream: an INSERT for each item, which is in DynamoDB's own JSON."""
    records = [
        {
            "eventID": uuid.uuid4().hex,
            "eventName": "INSERT",
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": REGION,
            "dynamodb": {
                "ApproximateCreationDateTime": EPOCH,
                "Keys": dict(list(item.items())[:1]),
                "NewImage": dict(item),
                "SequenceNumber": f"{100 + number:021}",
                "SizeBytes": 26,
                "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
            "eventSourceARN": _arn("dynamodb", "table/table/stream/2026-01-01T00:00:00.000"),
        }
        for number, item in enumerate(items)
    ]
    return {"Records": records}


def kinesis(*, data: Iterable[str] = ("{}",), stream: str = "stream") -> Event:
    """A batch of a Kinesis stream, of one shard."""
    shard = "shardId-000000000000"
    records = []
    for number, text in enumerate(data):
        sequence = f"{49590338271490256608559692538361571095921575989136588898 + number}"
        record = {
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": "1",
                "sequenceNumber": sequence,
                "data": _packed(text),
                "approximateArrivalTimestamp": EPOCH + 0.5,
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": f"{shard}:{sequence}",
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": f"arn:aws:iam::{ACCOUNT}:role/role",
            "awsRegion": REGION,
            "eventSourceARN": _arn("kinesis", f"stream/{stream}"),
        }
        records.append(record)
    return {"Records": records}


def kafka(*, values: Iterable[str] = ("{}",), topic: str = "topic", partition: int = 0) -> Event:
    """A batch of Amazon MSK, of one partition."""
    records = [
        {
            "topic": topic,
            "partition": partition,
            "offset": number,
            "timestamp": EPOCH * 1000,
            "timestampType": "CREATE_TIME",
            "key": _packed(str(number)),
            "value": _packed(value),
            "headers": [],
        }
        for number, value in enumerate(values)
    ]
    return {
        "eventSource": "aws:kafka",
        "eventSourceArn": _arn("kafka", f"cluster/cluster/{uuid.UUID(int=0)}"),
        "bootstrapServers": f"b-1.cluster.kafka.{REGION}.amazonaws.com:9092",
        "records": {f"{topic}-{partition}": records},
    }


def mq(*, messages: Iterable[str] = ("{}",), queue: str = "queue") -> Event:
    """A batch of Amazon MQ for ActiveMQ."""
    return {
        "eventSource": "aws:mq",
        "eventSourceArn": _arn("mq", "broker:broker:b-0"),
        "messages": [
            {
                "messageID": f"ID:b-0.mq.{REGION}.amazonaws.com-{number}",
                "messageType": "jms/text-message",
                "deliveryMode": 1,
                "redelivered": False,
                "data": _packed(text),
                "timestamp": EPOCH * 1000,
                "destination": {"physicalName": queue},
            }
            for number, text in enumerate(messages)
        ],
    }


def documentdb(*, documents: Iterable[Mapping[str, Any]] = ({"_id": "1"},)) -> Event:
    """A batch of a DocumentDB change stream."""
    return {
        "eventSource": "aws:docdb",
        "eventSourceArn": _arn("rds", "cluster:cluster"),
        "events": [
            {
                "event": {
                    "_id": {"_data": f"{number:04}"},
                    "operationType": "insert",
                    "fullDocument": dict(document),
                    "ns": {"db": "database", "coll": "collection"},
                }
            }
            for number, document in enumerate(documents)
        ],
    }


def cognito(*, trigger: str = "PreSignUp_SignUp", user: str = "user") -> Event:
    """A trigger of a Cognito user pool, which wants the event back with its `response` filled."""
    return {
        "version": "1",
        "triggerSource": trigger,
        "region": REGION,
        "userPoolId": f"{REGION}_example",
        "userName": user,
        "callerContext": {"awsSdkVersion": "aws-sdk-unknown-unknown", "clientId": "client"},
        "request": {"userAttributes": {"email": f"{user}@example.com"}, "validationData": None},
        "response": {"autoConfirmUser": False, "autoVerifyEmail": False, "autoVerifyPhone": False},
    }


def bedrock_agent(
    *,
    path: str = "/items",
    method: str = "GET",
    parameters: Mapping[str, str] | None = None,
    text: str = "Which items are there?",
) -> Event:
    """A Bedrock agent's call of an action that an OpenAPI schema describes."""
    return {
        "messageVersion": "1.0",
        "agent": {"name": "agent", "id": "AGENT12345", "alias": "ALIAS12345", "version": "1"},
        "inputText": text,
        "sessionId": "session",
        "actionGroup": "actions",
        "apiPath": path,
        "httpMethod": method,
        "parameters": [
            {"name": name, "type": "string", "value": value}
            for name, value in (parameters or {}).items()
        ],
        "sessionAttributes": {},
        "promptSessionAttributes": {},
    }


def iot(*, serial: str = "device", certificate: str = "certificate") -> Event:
    """AWS IoT's fleet provisioning asks its hook. A rule hands on the device's own JSON instead."""
    return {
        "claimCertificateId": certificate,
        "certificateId": certificate,
        "certificatePem": "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        "templateArn": _arn("iot", "provisioningtemplate/template"),
        "clientId": "client",
        "parameters": {"SerialNumber": serial},
    }


def cloudwatch_logs(*, messages: Iterable[str] = ("hello",), group: str = "/aws/group") -> Event:
    """What a subscription filter of CloudWatch Logs sends: gzip in base64."""
    data = {
        "messageType": "DATA_MESSAGE",
        "owner": ACCOUNT,
        "logGroup": group,
        "logStream": "stream",
        "subscriptionFilters": ["filter"],
        "logEvents": [
            {"id": f"{number:056}", "timestamp": EPOCH * 1000, "message": message}
            for number, message in enumerate(messages)
        ],
    }
    packed = gzip.compress(json.dumps(data).encode(), mtime=0)
    return {"awslogs": {"data": base64.b64encode(packed).decode("ascii")}}


def step_functions(*, state: str = "State", **values: Any) -> Event:
    """A task of Step Functions whose payload is its context object, with the input `values`."""
    return {
        "Execution": {
            "Id": _arn("states", f"execution:machine:{uuid.UUID(int=0)}"),
            "Input": values,
            "Name": str(uuid.UUID(int=0)),
            "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/role",
            "StartTime": TIME,
        },
        "State": {"EnteredTime": TIME, "Name": state, "RetryCount": 0},
        "StateMachine": {"Id": _arn("states", "stateMachine:machine"), "Name": "machine"},
    }


def other(**values: Any) -> Event:
    """An event without a mark of a service: a direct invocation, a rule of AWS IoT."""
    return values or {"hello": "world"}


SAMPLES: dict[str, Callable[[], Event]] = {
    "sqs": lambda: sqs(bodies=["one", "two", "three"]),
    "sqs-fifo": lambda: sqs(bodies=["a1", "b1", "a2"], queue="queue.fifo", groups=["a", "b", "a"]),
    "sns": sns,
    "s3": s3,
    "eventbridge": lambda: event_bridge(source="shop", detail_type="Order", detail={"id": 1}),
    "schedule": event_bridge,
    "scheduler": scheduler,
    "dynamodb": lambda: dynamodb(items=[{"id": {"S": "1"}}, {"id": {"S": "2"}}]),
    "kinesis": lambda: kinesis(data=["one", "two", "three"]),
    "kafka": lambda: kafka(values=["one", "two", "three"]),
    "mq": mq,
    "documentdb": documentdb,
    "cognito": cognito,
    "bedrock-agent": bedrock_agent,
    "iot": iot,
    "cloudwatch-logs": cloudwatch_logs,
    "step-functions": step_functions,
    "other": other,
}
"""An event for each name of `lamella invoke --sample`."""
