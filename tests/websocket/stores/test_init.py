"""`lamella websocket init`: what it sets up, what it says, and what it leaves alone."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner

from lamella.tools import stores
from lamella.tools.cli import main
from lamella.websocket.store import Member
from lamella.websocket.stores import open_store
from tests.front_of_moto import Answer, Ask, Call
from tests.websocket.stores.conftest import Place, init, make_place
from tests.websocket.stores.front import Front, denied, denied_by_s3
from tests.websocket.stores.servers import PASSWORD


@pytest.fixture
def bare(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Place:
    """A place where nothing has been set up."""
    return make_place(kind, request, tmp_path, monkeypatch)


def client(service: str, front: Front) -> Any:
    """boto3, as the judge."""
    return boto3.client(service, region_name="eu-west-1", endpoint_url=url_of(front))  # type: ignore[call-overload]  # the name is not known


async def use(url: str) -> None:
    """All that a store can do."""
    store = open_store(url)
    later = int(time.time()) + 3600
    await store.put("a", {}, later)
    row = await store.get("a")
    assert row is not None
    assert await store.replace("a", {}, row.version)
    await store.group_add("g", Member("a", "https://e"), later)
    assert [page async for page in store.members("g")] == [[Member("a", "https://e")]]
    await store.group_discard("g", "a")
    await store.delete("a")
    await store.close()


def url_of(front: Front) -> str:
    return f"http://127.0.0.1:{front.server_port}"


def test_help_says_what_it_takes() -> None:
    done = CliRunner().invoke(main, ["websocket", "init", "--help"])
    assert done.exit_code == 0
    for words in ("dynamodb://TABLE", "s3://BUCKET/PREFIX", "--profile", "IAM"):
        assert words in done.output


@pytest.mark.parametrize("kind", ["dynamodb"])
def test_a_table(bare: Place, front: Front) -> None:
    done = init(bare.url())
    assert done.exit_code == 0, done.output
    name = bare.url()[11:].partition("?")[0]
    aws = client("dynamodb", front)
    table = aws.describe_table(TableName=name)["Table"]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert {key["AttributeName"]: key["KeyType"] for key in table["KeySchema"]} == {
        "pk": "HASH",
        "sk": "RANGE",
    }
    expiry = aws.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}
    assert done.stderr.splitlines() == [
        f"Table {name} in eu-west-1 was created.",
        "Its time to live, expires_at, was switched on.",
        "The function's role needs these statements in its policy:",
    ]
    [statement] = json.loads(done.stdout)
    assert statement["Resource"] == table["TableArn"]
    again = init(bare.url())
    assert again.exit_code == 0
    assert again.stderr.splitlines()[:2] == [
        f"Table {name} in eu-west-1 was there already.",
        "Its time to live, expires_at, was switched on already.",
    ]
    assert again.stdout == done.stdout


@pytest.mark.parametrize("kind", ["dynamodb"])
def test_a_table_of_somebody_else(bare: Place, front: Front) -> None:
    name = bare.url()[11:].partition("?")[0]
    client("dynamodb", front).create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    done = init(bare.url())
    assert done.exit_code == 1
    assert f"Table {name} in eu-west-1 has the keys {{'id': 'HASH'}}" in done.stderr
    assert "choose another name" in done.stderr


@pytest.mark.parametrize("kind", ["dynamodb"])
def test_every_call_that_the_store_makes_is_in_the_policy(place: Place, front: Front) -> None:
    """And no other: what the contract's tests ask of DynamoDB is what the role may do."""
    [statement] = json.loads(init(place.url()).stdout)
    front.recover()
    asyncio.run(use(place.url()))
    assert {f"dynamodb:{name}" for name in front.seen} == set(statement["Action"])


@pytest.mark.parametrize("kind", ["s3"])
def test_a_bucket(bare: Place, front: Front) -> None:
    done = init(bare.url())
    assert done.exit_code == 0, done.output
    name = bare.url()[5:].partition("/")[0]
    aws = client("s3", front)
    block = aws.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}
    [rule] = aws.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    assert rule["Filter"] == {"Prefix": "web/sockets/"}
    assert rule["Expiration"]["Days"] == 1
    assert rule["Status"] == "Enabled"
    location = aws.get_bucket_location(Bucket=name)["LocationConstraint"]
    assert location == "eu-west-1"
    assert done.stderr.splitlines()[:2] == [
        f"Bucket {name} was created in eu-west-1, closed to the public.",
        "A rule was added that removes what is a day old under web/sockets/.",
    ]
    objects, bucket = json.loads(done.stdout)
    assert objects["Resource"] == f"arn:aws:s3:::{name}/web/sockets/*"
    own = {"StringEquals": {"aws:ResourceAccount": "${aws:PrincipalAccount}"}}
    assert bucket == {
        "Effect": "Allow",
        "Action": "s3:ListBucket",
        "Resource": f"arn:aws:s3:::{name}",
        "Condition": own,
    }
    assert objects["Condition"] == own  # a bucket of somebody else's gets nothing
    again = init(bare.url())
    assert again.exit_code == 0
    assert again.stderr.splitlines()[:2] == [
        f"Bucket {name} was there already. If the bucket encrypts with a KMS key of your own, "
        "the role also needs kms:Decrypt and kms:GenerateDataKey on that key.",
        "The rule that removes what is a day old under web/sockets/ was there already.",
    ]


@pytest.mark.parametrize("kind", ["s3"])
def test_a_bucket_with_rules_of_its_own(bare: Place, front: Front) -> None:
    name = bare.url()[5:].partition("/")[0]
    aws = client("s3", front)
    aws.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    rule = {
        "ID": "logs",
        "Filter": {"Prefix": "logs/"},
        "Status": "Enabled",
        "Expiration": {"Days": 30},
    }
    aws.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [rule]})
    aws.put_object(Bucket=name, Key="logs/1", Body=b"")
    assert init(bare.url()).exit_code == 0
    rules = aws.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    assert [each["ID"] for each in rules] == ["logs", "lamella-websocket web/sockets"]
    assert rules[0]["Expiration"] == {"Days": 30}


@pytest.mark.parametrize("kind", ["s3"])
def test_what_belongs_to_the_rules_is_written_back(bare: Place, front: Front) -> None:
    """moto does not keep the header, so the front adds it and looks for it."""
    assert init(bare.url()).exit_code == 0
    name = "x-amz-transition-default-minimum-object-size"
    written: list[dict[str, str]] = []

    def with_header(call: Call, ask: Ask) -> Answer:
        answer = ask(call)
        return answer._replace(headers={**answer.headers, name: "varies_by_storage_class"})

    def look(call: Call, ask: Ask) -> Answer:
        if "lifecycle" in call.path:
            written.append({key.lower(): value for key, value in call.headers.items()})
        return ask(call)

    front.meet({"GET": with_header, "PUT": look})
    assert init(bare.url().replace("web/sockets", "other")).exit_code == 0
    assert [headers.get(name) for headers in written] == ["varies_by_storage_class"]


@pytest.mark.parametrize("kind", ["s3"])
def test_what_failed_half_way_is_done_the_next_time(bare: Place, front: Front) -> None:
    def not_closed(call: Call, ask: Ask) -> Answer:
        return denied_by_s3(call, ask) if "publicAccessBlock" in call.path else ask(call)

    front.fail("PUT", not_closed, times=2)
    failed = init(bare.url())
    assert failed.exit_code == 1
    assert "AccessDenied" in failed.stderr
    done = init(bare.url())
    assert done.exit_code == 0, done.output
    assert "It was empty, and is now closed to the public." in done.stderr
    name = bare.url()[5:].partition("/")[0]
    block = client("s3", front).get_public_access_block(Bucket=name)
    assert set(block["PublicAccessBlockConfiguration"].values()) == {True}
    assert "closed to the public" not in init(bare.url()).stderr


@pytest.mark.parametrize("kind", ["s3"])
@pytest.mark.parametrize("use", ["objects", "rules"])
def test_a_bucket_in_use_stays_as_public_as_it_is(bare: Place, front: Front, use: str) -> None:
    name = bare.url()[5:].partition("/")[0]
    aws = client("s3", front)
    aws.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    if use == "objects":
        aws.put_object(Bucket=name, Key="index.html", Body=b"")
    else:
        rule = {"ID": "r", "Filter": {}, "Status": "Enabled", "Expiration": {"Days": 3}}
        aws.put_bucket_lifecycle_configuration(
            Bucket=name, LifecycleConfiguration={"Rules": [rule]}
        )
    done = init(bare.url())
    assert done.exit_code == 0, done.output
    with pytest.raises(aws.exceptions.ClientError, match="NoSuchPublicAccessBlock"):
        aws.get_public_access_block(Bucket=name)


@pytest.mark.parametrize("kind", ["s3"])
@pytest.mark.parametrize("key", ["web/sockets/photo.jpg", "web/sockets/photos/1.jpg"])
def test_nothing_of_others_is_let_expire(bare: Place, front: Front, key: str) -> None:
    name = bare.url()[5:].partition("/")[0]
    aws = client("s3", front)
    aws.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    aws.put_object(Bucket=name, Key=key, Body=b"")
    done = init(bare.url())
    assert done.exit_code == 1
    assert f"Bucket {name} holds web/sockets/photo" in done.stderr
    assert "choose a prefix that nothing else uses" in done.stderr
    with pytest.raises(aws.exceptions.ClientError, match="NoSuchLifecycleConfiguration"):
        aws.get_bucket_lifecycle_configuration(Bucket=name)


@pytest.mark.parametrize("kind", ["s3"])
@pytest.mark.parametrize(
    ("region", "partition"),
    [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("eusc-de-east-1", "aws-eusc")],
)
def test_a_policy_names_the_partition(bare: Place, region: str, partition: str) -> None:
    done = init(bare.url().replace("eu-west-1", region))
    assert done.exit_code == 0, done.output
    name = bare.url()[5:].partition("/")[0]
    assert json.loads(done.stdout)[0]["Resource"] == f"arn:{partition}:s3:::{name}/web/sockets/*"


@pytest.mark.parametrize("kind", ["asyncpg", "psycopg"])
def test_tables(bare: Place) -> None:
    done = init(bare.url())
    assert done.exit_code == 0, done.output
    assert "The tables lamella_connections and lamella_members were created" in done.stderr
    assert done.stdout == ""
    again = init(bare.url())
    assert again.exit_code == 0
    assert "lamella_connections and lamella_members were there already." in again.stderr
    assert "GRANT SELECT, INSERT, UPDATE, DELETE" in again.stderr


@pytest.mark.parametrize("url", ["redis://h", "valkey://:secret@h", "sqlite:///x.db", "memory:"])
def test_what_needs_nothing(url: str) -> None:
    done = init(url)
    assert done.exit_code == 0
    assert done.stderr.startswith(f"{url.replace('secret', '***')} needs nothing: ")


@pytest.mark.parametrize("kind", ["dynamodb"])
def test_who_may_not(bare: Place, front: Front) -> None:
    front.fail("CreateTable", denied)
    done = init(bare.url())
    assert done.exit_code == 1
    assert "failed (AccessDeniedException: User: arn:aws:sts::123456789012" in done.stderr


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without variables of AWS: its credentials are in the file that is returned."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name)
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return tmp_path / "credentials"


@pytest.mark.parametrize("kind", ["dynamodb", "s3"])
def test_without_credentials(bare: Place, at_home: Path) -> None:
    done = init(bare.url())
    assert done.exit_code == 1
    assert "There are no AWS credentials: name a profile with --profile" in done.stderr


@pytest.mark.parametrize("kind", ["dynamodb", "s3"])
def test_a_profile(bare: Place, front: Front, at_home: Path) -> None:
    """It has the credentials and the region, which the URL then need not name."""
    at_home.write_text(
        "[mine]\nregion = eu-central-1\naws_access_key_id = AKIDPROFILE\n"
        "aws_secret_access_key = secret\n"
    )
    signed: list[str] = []

    def look(call: Call, ask: Ask) -> Answer:
        signed.append(call.headers["Authorization"])
        return ask(call)

    front.meet(dict.fromkeys(("CreateTable", "PUT"), look))
    url = bare.url().replace("region=eu-west-1&", "")
    assert "there is no region: add ?region=" in init(url).stderr
    done = init(url, "--profile", "mine")
    assert done.exit_code == 0, done.output
    assert "in eu-central-1" in done.stderr
    assert all("Credential=AKIDPROFILE/" in each for each in signed)
    assert signed


@pytest.mark.parametrize("kind", ["dynamodb"])
def test_an_unknown_profile(bare: Place, at_home: Path) -> None:
    done = init(bare.url(), "--profile", "nobody")
    assert done.exit_code == 1
    assert "The config profile (nobody) could not be found" in done.stderr


@pytest.mark.parametrize("kind", ["s3"])
def test_a_bucket_of_somebody_else(bare: Place, front: Front) -> None:
    front.fail("GET", denied_by_s3)
    done = init(bare.url())
    assert done.exit_code == 1
    assert "failed (AccessDenied: Access Denied; names of buckets are global" in done.stderr


def test_no_service() -> None:
    done = init("dynamodb://t?region=eu-west-1&endpoint=http://127.0.0.1:1&timeout=1")
    assert done.exit_code == 1
    assert 'Could not connect to the endpoint URL: "http://127.0.0.1:1/"' in done.stderr


def test_no_server() -> None:
    done = init(f"postgresql://lamella:{PASSWORD}@127.0.0.1:1/postgres")
    assert done.exit_code == 1
    assert (
        "The connection store postgresql://lamella:***@127.0.0.1:1/postgres failed (" in done.stderr
    )
    assert PASSWORD not in done.output


def test_a_wrong_url() -> None:
    done = init(f"mysql://user:{PASSWORD}@host/db")
    assert done.exit_code == 2
    assert "mysql://user:***@host/db: use one of dynamodb://TABLE" in done.stderr
    assert PASSWORD not in done.output


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "lamella.tools.stores.amazon", raising=False)
    monkeypatch.delattr(stores, "amazon", raising=False)
    monkeypatch.setitem(sys.modules, "boto3", None)
    done = init("dynamodb://t?region=eu-west-1")
    assert done.exit_code == 1
    assert "The command `lamella websocket init` needs 'boto3', which is not" in done.stderr
