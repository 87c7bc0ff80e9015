"""Importing the application: precise errors, and the user's own never masked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lamella.errors import AppImportError
from lamella.importer import AppName, find_app, import_app
from lamella.records import traceback_of

Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Put modules into a folder that Python imports from; forget them afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("LAMBDA_TASK_ROOT", str(tmp_path))

    def write(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize(
    "reference", ["one:app", "one:create()", "one:nested.app", "pkg.main:app"], ids=str
)
def test_what_a_reference_can_name(reference: str, write: Write) -> None:
    text = "def app(): pass\ndef create(): return app\nclass nested: app = app\n"
    write("one.py", text)
    write("pkg/main.py", text)
    assert callable(import_app(AppName(reference, "ASGI_APP")))


@pytest.mark.parametrize(
    ("reference", "error_type", "message"),
    [
        ("missing:app", "ImportModuleError", "there is no module 'missing'. .* holds: one.py"),
        ("one.sub:app", "UserCodeError|ImportModuleError", "one.sub:app"),
        ("one:ap", "HandlerNotFound", r"has no attribute 'ap'. It has app"),
        ("one:value", "HandlerNotFound", "is 5, which cannot be called"),
        ("one:broken()", "UserCodeError", "ValueError: no config"),
        (":app", "ImportModuleError", "names no module before the colon"),
        ("one.py:app", "ImportModuleError", "is a file's path: write the module's name, one:app"),
        ("./one.py:app", "ImportModuleError", "write the module's name, one:app"),
        ("src/one:make()", "ImportModuleError", r"write the module's name, src.one:make\(\)"),
        (r"src\one.py:app", "ImportModuleError", "write the module's name, src.one:app"),
        ("main:", "ImportModuleError", "names no attribute after the colon"),
        ("main:()", "ImportModuleError", "names no attribute after the colon"),
    ],
)
def test_a_wrong_reference_says_what_to_change(
    reference: str, error_type: str, message: str, write: Write
) -> None:
    write("one.py", "value = 5\ndef app(): pass\ndef broken(): raise ValueError('no config')\n")
    with pytest.raises(AppImportError, match=message) as caught:
        import_app(AppName(reference, "ASGI_APP"))
    assert caught.value.error_type.removeprefix("Runtime.") in error_type.split("|")
    assert repr(reference) in str(caught.value)


@pytest.mark.parametrize(
    ("code", "error_type", "said"),
    [
        ("import not_there_either", "ImportModuleError", "No module named 'not_there_either'"),
        ("from json import nothing", "ImportModuleError", "cannot import name 'nothing'"),
        ("x = ", "UserCodeSyntaxError", "SyntaxError"),
        ("raise KeyError('DATABASE_URL')", "UserCodeError", "KeyError: 'DATABASE_URL'"),
        ("raise ValueError('bad')", "UserCodeError", "ValueError: bad"),
        ("raise SystemExit(2)", "UserCodeError", "SystemExit: 2"),
    ],
)
def test_an_error_in_the_user_s_code_is_never_masked(
    code: str, error_type: str, said: str, write: Write
) -> None:
    write("mine.py", f"\n\n{code}\n")
    with pytest.raises(AppImportError) as caught:
        import_app(AppName("mine:app", "ASGI_APP"))
    assert said in str(caught.value)
    assert caught.value.error_type == f"Runtime.{error_type}"
    assert caught.value.__cause__ is not None
    frames = "".join(traceback_of(caught.value.__cause__))
    assert "mine.py" in frames
    assert "importlib/" not in frames
    assert "importer.py" not in frames


ENTRYPOINT = "AWS_LAMBDA_PYTHON_ENTRYPOINT"


@pytest.mark.parametrize(
    ("configured", "environ", "shown", "interface"),
    [
        ("a:b", {ENTRYPOINT: "c:d", "_HANDLER": "e:f"}, "ASGI_APP='a:b'", "auto"),
        ("", {ENTRYPOINT: "c:d", "_HANDLER": "e:f"}, f"{ENTRYPOINT}='c:d'", "auto"),
        ("", {ENTRYPOINT: "asgi:c:d"}, f"{ENTRYPOINT}='asgi:c:d'", "asgi3"),
        ("", {ENTRYPOINT: "wsgi:c:d()"}, f"{ENTRYPOINT}='wsgi:c:d()'", "wsgi"),
        ("", {ENTRYPOINT: "asgi:app"}, f"{ENTRYPOINT}='asgi:app'", "auto"),  # a module of that name
        ("", {"_HANDLER": "e:f"}, "Handler='e:f'", "auto"),
        ("", {"_HANDLER": "lamella.serve.a.b:c"}, "Handler='lamella.serve.a.b:c'", "auto"),
        (
            "",
            {"_HANDLER": "lamella.serve.a.b"},
            "Handler='lamella.serve.a.b'",
            "auto",
        ),  # no default
        (
            "",
            {"_HANDLER": "otel.handler", "ORIG_HANDLER": "lamella.serve.main:app"},
            "Handler='lamella.serve.main:app'",
            "auto",
        ),
        ("", {"_HANDLER": "lamella.handler"}, "The default application='main:app'", "auto"),
        ("", {}, "The default application='main:app'", "auto"),
    ],
)
def test_the_first_place_that_names_an_application_counts(
    configured: str, environ: dict[str, str], shown: str, interface: str
) -> None:
    name = find_app(configured, environ)
    assert (str(name), name.interface) == (shown, interface)


@pytest.mark.parametrize(
    "environ", [{"_HANDLER": "lamella.serve.a.b:c"}, {ENTRYPOINT: "asgi:a.b:c"}], ids=str
)
def test_what_stands_before_the_name_is_not_imported(environ: dict[str, str]) -> None:
    assert find_app("", environ).reference == "a.b:c"


def test_a_name_without_a_colon() -> None:
    with pytest.raises(AppImportError, match=r"ASGI_APP='app.main' has no colon: .*ASGI_APP=app"):
        import_app(find_app("app.main", {}))


def test_an_error_of_the_default_names_every_place_that_was_looked_at(write: Write) -> None:
    write("other.py", "")
    with pytest.raises(AppImportError, match="there is no module 'main'") as caught:
        import_app(find_app("", {"_HANDLER": "index.handler"}))
    assert (
        f"ASGI_APP and {ENTRYPOINT} are not set, and the handler 'index.handler' has no colon. "
        "Set ASGI_APP, for example ASGI_APP=app.main:app"
    ) in str(caught.value)
