"""Set up everything inside this checkout, then run the demo, the tests, or any command of the project.

    python3 bootstrap.py demo     set up what the program needs, then show the whole path
    python3 bootstrap.py test     set up what the tests need too, then run them
    python3 bootstrap.py COMMAND  any command of `bci`, for example: python3 bootstrap.py doctor

Needs Python 3.11 or newer and nothing else. Everything goes into the folder .venv; delete it to begin again.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
MARK = VENV / "installed.txt"
PIP = ["-m", "pip", "--disable-pip-version-check", "--quiet"]


def main() -> int:
    """Set up if needed, then hand over to the command."""
    if sys.version_info < (3, 11):
        say(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}.")
        return 1
    command, *rest = sys.argv[1:] or ["help"]
    if command in ("help", "-h", "--help"):
        say(__doc__ or "")
        return 0
    is_test = command == "test"
    if not set_up("dev" if is_test else "run"):
        return 1
    arguments = ["-m", "pytest", *rest] if is_test else ["-m", "bci", command, *rest]
    return hand_over([str(PYTHON), *arguments])


def set_up(kind: str) -> bool:
    """Make the environment and install the pinned packages, unless that has been done."""
    pinned = ROOT / "constraints" / f"{kind}.txt"
    wanted = f"{kind} {fingerprint(pinned, ROOT / 'pyproject.toml')}"
    done = MARK.read_text(encoding="utf-8").splitlines() if MARK.exists() else []
    if wanted in done:
        return True
    try:
        if not PYTHON.exists():
            say("making .venv …")
            subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        say(f"installing the packages of {pinned.relative_to(ROOT)} (a few minutes the first time) …")
        subprocess.run([str(PYTHON), *PIP, "install", "--require-hashes", "-r", str(pinned)], check=True)
        project = ["install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
        subprocess.run([str(PYTHON), *PIP, *project], check=True)
    except subprocess.CalledProcessError as error:
        say(f"'{' '.join(map(str, error.cmd))}' failed.")
        say("On Debian and Ubuntu, 'sudo apt install python3-venv' may help.")
        return False
    MARK.write_text("\n".join([*done, wanted]) + "\n", encoding="utf-8")
    return True


def fingerprint(*paths: Path) -> str:
    """One digest of some files."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16]


def hand_over(command: list[str]) -> int:
    """Become the command, so that keys and signals reach it directly."""
    if os.name == "posix":
        sys.stdout.flush()
        os.execv(command[0], command)
    return subprocess.run(command, check=False).returncode


def say(text: str) -> None:
    """Print one line at once."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
