"""Makes .venv as the lock says; even a Python too old to run Perdure can read this far."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from typing import IO

OLDEST, NEWEST = (3, 11), (3, 14)
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
UV = os.path.join(VENV, "bin", "uv")
READY = os.path.join(VENV, "ready")
LOCK = os.path.join(ROOT, "requirements.lock")
UV_LOCK = os.path.join(ROOT, "bootstrap.lock")
PROJECT = os.path.join(ROOT, "pyproject.toml")
FOREIGN = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX")


class CannotSetUp(Exception):
    pass


def main() -> int:
    try:
        if not OLDEST <= sys.version_info[:2] <= NEWEST:
            hand_over()
        with open(VENV + ".lock", "a") as lock:
            wait_for_others(lock)
            set_up()
    except CannotSetUp as reason:
        say(str(reason))
        return 1
    except KeyboardInterrupt:
        say("stopped half-way; the next start begins again")
        return 130
    return 0


def set_up() -> None:
    packages, project = wanted()
    found = stamped()
    if found == [packages, project] and os.path.exists(PYTHON):
        return
    if found[:1] != [packages] or not os.path.exists(PYTHON):
        make_venv()
        install_packages()
    install_project()
    # Last of all: without it, whatever is there counts as half made.
    with open(READY + ".new", "w") as file:
        file.write("\n".join((packages, project)))
    os.replace(READY + ".new", READY)
    say("installed")


def wanted() -> "tuple[str, str]":
    """Contents, not times, which a checkout changes; and the path, since scripts name it."""
    return digest(VENV, read(LOCK), read(UV_LOCK)), digest(VENV, read(PROJECT))


def stamped() -> "list[str]":
    try:
        return read(READY).split("\n")
    except OSError:
        return []


def hand_over() -> None:
    for minor in (13, 12, 11, 14):
        other = shutil.which(f"python3.{minor}")
        # A version manager's shim may be there for a Python that is not.
        if other and subprocess.call([other, "-c", ""], stderr=subprocess.DEVNULL) == 0:
            os.execv(other, [other, os.path.abspath(__file__)])
    raise CannotSetUp(
        f"Perdure needs Python 3.11 to 3.14, and {sys.executable} is {VERSION}: install one, "
        "or name it: make PYTHON=…/python3.12"
    )


def wait_for_others(lock: "IO[str]") -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        say("waiting for another set-up of this directory")
        fcntl.flock(lock, fcntl.LOCK_EX)


def make_venv() -> None:
    if find_spec("ensurepip") is None:
        raise CannotSetUp(
            "this Python cannot make virtual environments; on Debian and Ubuntu: "
            f"apt install python{VERSION}-venv"
        )
    say(f"making .venv with Python {VERSION}")
    if os.path.exists(VENV):
        shutil.rmtree(VENV)
    # The base, since we may be running from the very environment that was just removed.
    run([getattr(sys, "_base_executable", sys.executable), "-m", "venv", VENV], "venv")


def install_packages() -> None:
    count = sum(1 for line in read(LOCK).splitlines() if "==" in line)
    say(f"installing {count} locked packages (250 MB the first time)")
    locked = ["--require-hashes", "--only-binary", ":all:", "-r"]
    try:
        run(pip("install", *locked, UV_LOCK), "pip")
        run(uv("install", "--compile-bytecode", *locked, LOCK), "uv")
    except CannotSetUp as reason:
        say(f"{reason}\nuv could not do it; trying pip, which is slower")
        run(pip("install", *locked, LOCK), "pip")


def install_project() -> None:
    editable = ["install", "--no-deps", "--no-build-isolation", "--editable", ROOT]
    run(uv(*editable) if os.path.exists(UV) else pip(*editable), "perdure")


def pip(*arguments: str) -> "list[str]":
    quiet = ["--disable-pip-version-check", "--no-input"]
    return [PYTHON, "-m", "pip", *quiet, *arguments]


def uv(*arguments: str) -> "list[str]":
    return [UV, "pip", *arguments, "--python", PYTHON]


def run(command: "list[str]", name: str) -> None:
    """Shows the news as it comes, and everything only if it fails."""
    environment = {key: value for key, value in os.environ.items() if key not in FOREIGN}
    output = []
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        universal_newlines=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            output.append(line.rstrip())
            if line.strip().startswith("Downloading "):
                say(line.strip())
    if process.returncode:
        last = "\n".join(output[-20:])
        raise CannotSetUp(f"{name} failed:\n{last}")


def digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def say(text: str) -> None:
    print(f"perdure: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
