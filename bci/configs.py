"""Finding a profile: by its path, or by name among those that come with the project."""

from __future__ import annotations

from pathlib import Path

from bci.errors import ProfileError

_PACKAGE = Path(__file__).resolve().parent


def shipped_profiles() -> dict[str, Path]:
    """Profiles that come with the project, by name: inside an installed wheel, or in the checkout beside it."""
    for folder in (_PACKAGE / "configs", _PACKAGE.parent / "configs"):
        if folder.is_dir():
            return {path.stem: path for path in sorted(folder.glob("*.toml"))}
    return {}


def find_profile(name: str) -> Path:
    """Path of a profile.

    Raises
    ------
    ProfileError
        When `name` is neither a file nor the name of a shipped profile.
    """
    path = Path(name)
    if path.is_file():
        return path
    shipped = shipped_profiles()
    if name in shipped:
        return shipped[name]
    raise ProfileError(
        f"Profile '{name}' is not a file here.", f"Give a path, or one of: {', '.join(shipped) or 'none shipped'}."
    )
