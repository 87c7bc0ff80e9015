"""What Lambda's sandbox forbids: writing, and more memory than asked for."""

from __future__ import annotations

from typing import Any

import docker
import pytest

from tests.docker.conftest import FUNCTIONS, StartFunction
from tests.docker.function import Function
from tests.events import url_event

TASK = FUNCTIONS / "sandbox"


@pytest.fixture
def function(start: StartFunction) -> Function:
    return start(task=TASK, ASGI_APP="main:app")


def test_the_user_is_nobody_and_has_no_home(function: Function) -> None:
    about = function.invoke(url_event("/about")).content
    assert (about["user"], about["cwd"]) == (993, "/var/task")
    assert (about["home"], about["home exists"]) == ("/home/sbx_user1051", False)


def test_a_forbidden_write_is_a_500_with_its_reason_in_the_log(function: Function) -> None:
    first = function.invoke(url_event("/about")).content
    for route, path, where in [
        ("/write_task", "/var/task/uploads", "write_task"),
        ("/write_opt", "/opt/python/lamella/note", "write_opt"),
        ("/write_home", "/home", "write_home"),
    ]:
        result = function.invoke(url_event(route)).result
        assert (result["statusCode"], result["body"]) == (500, "Internal Server Error")
        assert function.has_logged(f"Read-only file system: '{path}"), route
        assert function.has_logged('File "/var/task/main.py"'), "the line at fault is named"
        assert function.has_logged(f"in {where}"), route
    assert function.invoke(url_event("/write_tmp")).content == len("kept")
    assert function.invoke(url_event("/about")).content["pid"] == first["pid"]


class TestMemory:
    """128 MB, the least that Lambda has."""

    @pytest.fixture
    def small(self, start: StartFunction, client: docker.DockerClient) -> Function:
        function = start(task=TASK, memory=128, ASGI_APP="main:app")
        function.container.reload()
        assert function.container.attrs["HostConfig"]["Memory"] == 128 << 20
        if not client.info()["MemoryLimit"]:
            pytest.skip(
                "THIS ENGINE CANNOT LIMIT MEMORY (docker info: no memory limit support), so the "
                "128 MB were asked for, and not enforced: enable the cgroup memory controller"
            )
        return function

    def test_the_layer_leaves_most_of_it(self, small: Function) -> None:
        small.invoke(url_event("/about"))
        stats: Any = small.container.stats(stream=False)
        memory = stats["memory_stats"]
        assert memory["limit"] == 128 << 20
        assert memory["usage"] < 64 << 20, "the emulator, Python and the layer, with page cache"

    def test_more_ends_the_process_and_a_new_one_serves(self, small: Function) -> None:
        first = small.invoke(url_event("/about")).content["pid"]
        assert small.invoke(url_event("/devour")).result["errorType"] == "Runtime.ExitError"
        assert small.invoke(url_event("/about")).content["pid"] != first
