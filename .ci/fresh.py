#!/usr/bin/env python3
"""`make run` and `make test` on a new machine: `.ci/fresh.py bookworm trixie`, on Debian as root.

`make test` runs on the first one, which has the oldest Python; --run-only leaves it out there, too.
The machine is a container: debootstrap's minbase with python3, python3-venv and make, a clone of
the committed tree, and an ordinary user. Nothing else of this machine is in it but the way to its
package indexes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / ".cache" / "fresh"

FIRST, AGAIN = 60.0, 3.0
"""Seconds until the first answer. It is to come within 30 s of download time; the rest is what
the network may take. The second one is tried three times, because machines stumble."""

# Waits for the first answer, and prints how long that took; make's own output goes to stderr.
MEASURE = """
import os, signal, subprocess, sys, time, urllib.request
began = time.monotonic()
command = ["make", "run", "PORT=3999"]
running = subprocess.Popen(command, stdout=sys.stderr, start_new_session=True)
while True:
    assert running.poll() is None and time.monotonic() - began < 300, "make run does not serve"
    try:
        answer = urllib.request.urlopen("http://127.0.0.1:3999/json", timeout=10).read()
        break
    except OSError:
        time.sleep(0.02)
print(time.monotonic() - began)
os.killpg(running.pid, signal.SIGINT)
running.wait(30)
assert b"hello" in answer, answer
"""

# A new network namespace has not even a loopback that is up.
LOOPBACK = """
import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh", b"lo", 0x41))
"""


def main() -> None:
    suites = [word for word in sys.argv[1:] if word != "--run-only"] or ["bookworm"]
    for suite in suites:
        machine = made(suite)
        print(f"--- a new machine with Debian {suite}", flush=True)
        inside(machine, "make layer && rm -rf build dist")
        first = measured(machine)
        again = min(measured(machine, network=False) for _ in range(3))
        took = f"after {first:.1f} s, the second time after {again:.1f} s"
        print(f"--- {suite}: make run answers {took}", flush=True)
        if first > FIRST or again > AGAIN:
            sys.exit(f"{suite}: make run may take {FIRST} s the first time, and {AGAIN} s again")
        if suite == suites[0] and "--run-only" not in sys.argv:
            inside(machine, "make test")
        shutil.rmtree(machine)


def made(suite: str) -> Path:
    """The container's root, with a clone in /home/user/lamella."""
    machine = PLACE / suite
    shutil.rmtree(machine, ignore_errors=True)
    machine.mkdir(parents=True)
    mirror = os.environ.get("DEBIAN_MIRROR") or own_mirror()
    packages = "--include=python3,python3-venv,make"
    # The script of sid serves every suite, and an older debootstrap does not know the newer ones.
    script = "/usr/share/debootstrap/scripts/sid"
    command = ["debootstrap", "--variant=minbase", packages, suite, str(machine), mirror, script]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    for file in ["/etc/resolv.conf", "/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt"]:
        if Path(file).exists():
            (machine / file[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, machine / file[1:])
    subprocess.run(["chroot", machine, "useradd", "--create-home", "user"], check=True)
    clone = machine / "home" / "user" / "lamella"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, clone], check=True)
    subprocess.run(["chroot", machine, "chown", "-R", "user:user", "/home/user"], check=True)
    return machine


def own_mirror() -> str:
    """The mirror that this machine installs from: of the archive, not of its security updates."""
    question = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    answer = subprocess.run(question, check=True, stdout=subprocess.PIPE, text=True).stdout
    return next(mirror for mirror in answer.split() if "security" not in mirror)


def measured(machine: Path, network: bool = True) -> float:
    """Seconds until `make run` answers."""
    return float(inside(machine, f"python3 -c '{MEASURE}'", network, stdout=subprocess.PIPE))


def inside(machine: Path, command: str, network: bool = True, stdout: int | None = None) -> str:
    """Run a command as the user, in namespaces of its own; all that it started ends with it."""
    names = ("PIP_CERT", "PIP_INDEX_URL", "SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy")
    variables = {name: os.environ[name] for name in names if name in os.environ}
    variables |= {"HOME": "/home/user", "LANG": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin"}
    environ = " ".join(f"{name}={value}" for name, value in variables.items())
    script = f"""set -e
mount --rbind /dev {machine}/dev
mount -t proc proc {machine}/proc
{"" if network else f"python3 -c '{LOOPBACK}'"}
exec chroot --userspec=user:user {machine} env -i {environ} sh -c 'cd ~/lamella && exec "$@"' \\
  sh sh -c "$COMMAND"
"""
    namespaces = ["--mount", "--pid", "--fork", "--kill-child", *([] if network else ["--net"])]
    done = subprocess.run(
        ["unshare", *namespaces, "sh", "-c", script],
        env={**os.environ, "COMMAND": command},
        stdout=stdout,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=2400,
    )
    if done.returncode:
        sys.exit(f"{machine.name}: failed with {done.returncode}: {command[:40]}")
    return done.stdout or ""


if __name__ == "__main__":
    main()
