"""Stands for the managed runtime's script: builds the search path, starts awslambdaric.

The order of the search path is that of AWS's guide ("Search path for Python" in
https://docs.aws.amazon.com/lambda/latest/dg/python-package.html).
"""

import os
import site
import sys

RUNTIME = os.environ["LAMBDA_RUNTIME_DIR"]
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"


def add(folder):
    """Put `folder` before all others, and follow its .pth files."""
    sys.path.insert(0, folder)
    site.addsitedir(folder)


if os.environ.get("PYTHONPATH", RUNTIME) == RUNTIME:
    os.environ["PYTHONPATH"] = RUNTIME
    add(f"/var/lang/lib/{VERSION}/site-packages")
    add("/opt/python")
    add(f"/opt/python/lib/{VERSION}/site-packages")
add(os.environ["LAMBDA_TASK_ROOT"])

from awslambdaric.__main__ import main  # noqa: E402  found on the path that is now complete

main([__file__, os.environ["_HANDLER"]])
