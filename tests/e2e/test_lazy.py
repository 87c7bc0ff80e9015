"""`ASGI_LAZY_IMPORTS`: what is loaded with the application, and what when it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from layer.pythons import Python
from tests.e2e.conftest import FUNCTION, StartLocal
from tests.e2e.judges import LocalJudge
from tests.e2e.packages import installed
from tests.events import url_event

pytestmark = pytest.mark.anyio


async def test_modules_are_loaded_when_they_are_used(
    start_local: StartLocal, python: Python
) -> None:
    if python.version < (3, 15):
        pytest.skip("no lazy imports")
    async with start_local("lazily:app", ASGI_LAZY_IMPORTS="on") as judge:
        lazily = (await judge.invoke(url_event("/"))).content
        again = (await judge.invoke(url_event("/"))).content
    settings = {"ASGI_LAZY_IMPORTS": "on", "ASGI_LAZY_IMPORTS_EXCEPT": "lazily_needed"}
    async with start_local("lazily:app", **settings) as judge:
        excepted = (await judge.invoke(url_event("/"))).content
    async with start_local("lazily:app") as judge:
        eagerly = (await judge.invoke(url_event("/"))).content
    assert lazily["before"] == []
    assert again["before"] == eagerly["before"] == ["colorsys", "lazily_needed", "wave"]
    assert excepted["before"] == ["lazily_needed", "wave"]
    assert lazily["wave"] == "wave"


async def test_other_pythons_are_told(start_local: StartLocal, python: Python) -> None:
    if python.version >= (3, 15):
        pytest.skip("it has lazy imports")
    async with start_local("lazily:app", ASGI_LAZY_IMPORTS="on") as judge:
        failure = judge.environment.init_error
    assert failure is not None
    assert failure.error_type == "Runtime.InvalidSetting"
    assert f"needs Python 3.15 or later, and this is {python.minor}:" in failure.message


SQLALCHEMY = """
from bare import answer
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


async def app(scope, receive, send):
    engine = create_engine("sqlite://")
    with Session(engine) as session:
        Base.metadata.create_all(session.connection())
        session.add(User(name="Ada"))
        session.flush()
        await answer(send, {"names": list(session.scalars(select(User.name)))})
"""

NAMESAKE = """
import namesake
import namesake.other
from bare import answer


async def app(scope, receive, send):
    template = {}
    exec("import colorsys; third = colorsys.ONE_THIRD", template)  # as Jinja does it
    found = [namesake.other.hello(), namesake.hello(), template["third"] < 1]
    await answer(send, found)
"""


async def test_imports_for_their_effect_are_not_put_off(
    opt: Path, python: Python, tmp_path: Path
) -> None:
    """SQLAlchemy's modules register events when they are loaded."""
    if python.version < (3, 15):
        pytest.skip("no lazy imports")
    packages = installed(python, "sqlalchemy", "sqlalchemy==2.1.9")
    (tmp_path / "main.py").write_text(SQLALCHEMY)
    assert await _answer(opt, python, tmp_path, packages) == {"names": ["Ada"]}


async def test_a_function_keeps_the_name_that_it_shares_with_its_module(
    opt: Path, python: Python, tmp_path: Path
) -> None:
    """As graphql's `validate` does. And code without a module, as a template's, may import."""
    if python.version < (3, 15):
        pytest.skip("no lazy imports")
    package = tmp_path / "namesake"
    package.mkdir()
    (package / "__init__.py").write_text("from .hello import hello\n")
    (package / "hello.py").write_text("WORD = 'hello'\ndef hello(): return WORD\n")
    (package / "other.py").write_text("from .hello import WORD\ndef hello(): return WORD\n")
    (tmp_path / "main.py").write_text(NAMESAKE)
    assert await _answer(opt, python, tmp_path) == ["hello", "hello", True]


async def _answer(opt: Path, python: Python, task: Path, packages: Path | None = None) -> Any:
    path = f"{FUNCTION}:{packages}" if packages else str(FUNCTION)
    environ = {"ASGI_APP": "main:app", "ASGI_LAZY_IMPORTS": "on", "PYTHONPATH": path}
    async with LocalJudge(opt, python.path, task, environ, init_timeout=60.0) as judge:
        return (await judge.invoke(url_event("/"))).content
