"""Large bodies: read and written without a look at each letter, and the same as with `json`."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from typing import Any

import pytest
from awslambdaric.lambda_runtime_marshaller import (  # type: ignore[import-untyped]
    LambdaMarshaller,
)

import lamella
from lamella.runtime import loop
from lamella.testing import events
from lamella.types import Receive, Scope, Send

LONG = "QUJD" * 5000
EVENTS = {
    "compact": f'{{"headers":{{}},"body":"{LONG}","isBase64Encoded":true}}',
    "with spaces": f'{{"body": "{LONG}", "isBase64Encoded": true}}',
    "any letters around it": f'{{"x":"\\u00e9\\"漢","body":"{LONG}","isBase64Encoded":true}}',
}
OTHERS = {
    "text": f'{{"body":"{LONG}","isBase64Encoded":false}}',
    "text with escapes": f'{{"body":"{LONG}\\n{LONG}","isBase64Encoded":true}}',
    "not ASCII": f'{{"body":"{"é" * 20_000}","isBase64Encoded":true}}',
    "a body further in": f'{{"a":{{"body":"{LONG}"}},"body":"","isBase64Encoded":true}}',
    "a NUL elsewhere": f'{{"a":{{"body":"{LONG}"}},"body":"\\u0000","isBase64Encoded":true}}',
    "two bodies": f'{{"body":"{LONG}","body":"b","isBase64Encoded":true}}',
    "a key that ends so": f'{{"x\\"body":"{LONG}","body":"b","isBase64Encoded":true}}',
    "another body first": f'{{"a":{{"body":"x"}},"body":"{LONG}","isBase64Encoded":true}}',
    "no object": f'[{{"body":"{LONG}","isBase64Encoded":true}}]',
}


@pytest.mark.parametrize("text", EVENTS.values(), ids=EVENTS)
def test_json_does_not_read_a_body_in_base64(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def loads(data: bytes) -> Any:
        read.append(len(data))
        return json.loads(data)

    monkeypatch.setattr(loop, "loads", loads)
    monkeypatch.setattr(loop, "_decode", None)
    assert list(loop.read_event(text.encode()).items()) == list(json.loads(text).items())
    assert read
    assert max(read) < 100


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS)
def test_every_other_event_is_read_as_json_reads_it(text: str) -> None:
    assert loop.read_event(text.encode()) == json.loads(text)


@pytest.mark.parametrize("end", ["", "}}", ',"isBase64Encoded":tru}', '"', '","isBase64'])
def test_what_is_no_json_is_refused_in_the_words_of_json(end: str) -> None:
    text = f'{{"body":"{LONG}{end}'
    with pytest.raises(ValueError) as expected:  # noqa: PT011 # its words are compared
        json.loads(text)
    with pytest.raises(ValueError) as refused:  # noqa: PT011 # its words are compared
        loop.read_event(text.encode())
    assert str(refused.value) == str(expected.value)


async def picture(scope: Scope, receive: Receive, send: Send) -> None:
    headers = [(b"content-type", b"image/png")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": bytes(range(256)) * 100})


@pytest.mark.parametrize("environment", ["AWS_Lambda_python3.11", "AWS_Lambda_python3.13"])
def test_awslambdaric_does_not_search_base64_for_escapes(
    environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EXECUTION_ENV", environment)
    handler = lamella.Adapter(picture, lifespan="off")
    result: Any = handler(events.function_url(), None)
    handler.close()
    import simplejson  # type: ignore[import-untyped]

    marshal = LambdaMarshaller().marshal_response
    assert isinstance(result._asdict()["body"], simplejson.RawJSON)
    assert json.loads(marshal(result)[0]) == result == dict(result)
    result["body"] = 'a tool put "this" here'
    assert json.loads(marshal(result)[0])["body"] == result["body"]
    del result["body"]
    assert json.loads(marshal(result)[0]) == result


ALLOCATE = """
import importlib, resource, sys
importlib.import_module(sys.argv[1])

def allocate():
    blocks = [b"x" * 1_300_000 for _ in range(4)]

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

for _ in range(3):
    allocate()
before = faults()
for _ in range(10):
    allocate()
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's way to keep freed memory")
@pytest.mark.parametrize("way", ["lamella.runtime.loop", "lamella.adapter"])
def test_the_memory_of_a_large_body_serves_the_next_one(way: str) -> None:
    command = [sys.executable, "-c", ALLOCATE, way]
    faults = int(subprocess.run(command, capture_output=True, check=True).stdout)
    assert faults < 1000, "4 blocks of 318 pages each, 10 times"
