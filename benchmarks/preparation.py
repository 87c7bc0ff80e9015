"""How a function is prepared, and what that does to its cold start.

The same application as SAM zips it, compiled, with a warm-up, and with lazy imports: CPU from the
start of the process to the end of its first answer.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from benchmarks.figures import Row
from benchmarks.measures import DJANGO, FASTAPI, WARMUP, Counts, first_answer
from benchmarks.run import alternate
from benchmarks.ways import BOOTSTRAP, Site

PACKAGES = (
    *("annotated_doc", "annotated_types", "anyio", "asgiref", "django", "fastapi", "idna"),
    *("opentelemetry", "pydantic", "pydantic_core", "sniffio", "sqlparse", "starlette"),
    *("typing_extensions.py", "typing_inspection"),
)
"""What the two applications import: modules of the interpreter's site-packages."""

ZIPPED, COMPILED = "as SAM zips it", "compiled"
WARMED, LAZY = "compiled, ASGI_WARMUP", "compiled, ASGI_WARMUP, ASGI_LAZY_IMPORTS"

DATE_OF_ZIPS = 315_532_800.0  # 1980, the date of every file in Lambda's zips


def rows(site: Site, counts: Counts, folder: Path) -> list[Row]:
    """Measure what the interpreter can do; `folder` is to be empty."""
    ways = [ZIPPED, COMPILED, WARMED]
    settings_table = (site.opt / "python/lamella/settings.py").read_text()
    if site.version >= (3, 15) and "lazy_imports" in settings_table:  # PEP 810
        ways.append(LAZY)
    zipped, compiled = _functions(site, folder)
    found = []
    for name, app in (("FastAPI", FASTAPI), ("Django", DJANGO)):
        settings = {
            ZIPPED: {"PYTHONDONTWRITEBYTECODE": "1"},  # Lambda's /var/task is read-only
            WARMED: WARMUP,
            LAZY: {**WARMUP, "ASGI_LAZY_IMPORTS": "on"},
        }

        def measure(
            way: str, app: str = app, settings: dict[str, dict[str, str]] = settings
        ) -> tuple[float, float, float]:
            place = zipped if way == ZIPPED else compiled
            return first_answer(place, BOOTSTRAP, app, **settings.get(way, {}))

        for way in ways:  # not counted: fills the file cache
            measure(way)
        whole, first, _ = alternate(f"preparation, {name}", ways, counts.firsts, measure)
        found += [
            Row(f"CPU from start to the end of the first answer, {name}", "ms", whole),
            Row(f"CPU of the first request, {name}", "ms", first),
        ]
    return found


def _functions(site: Site, folder: Path) -> tuple[Site, Site]:
    """The benchmark's functions with their packages inside: without bytecode, and compiled."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    output = subprocess.run((site.python, "-c", code), capture_output=True, text=True, check=True)
    library = Path(output.stdout.strip())
    zipped, compiled = folder / "zipped", folder / "compiled"
    without_bytecode = shutil.ignore_patterns("__pycache__")
    shutil.copytree(site.task, zipped, ignore=without_bytecode)
    for name in PACKAGES:
        package = library / name
        if package.is_dir():
            shutil.copytree(package, zipped / name, ignore=without_bytecode)
        elif package.is_file():
            shutil.copy(package, zipped / name)
    for path in zipped.rglob("*.py"):
        os.utime(path, (DATE_OF_ZIPS, DATE_OF_ZIPS))
    shutil.copytree(zipped, compiled)
    mode = ("--invalidation-mode", "unchecked-hash")
    compiler = (site.python, "-m", "compileall", "-q", *mode, str(compiled))
    subprocess.run(compiler, check=False, stdout=subprocess.DEVNULL)  # templates need not compile
    return site._replace(task=zipped), site._replace(task=compiled)
