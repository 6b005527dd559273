"""The plan of the house, held by reading the imports: they point down only."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = {
    "bci.types": 0, "bci.errors": 0, "bci.profile": 0, "bci.settings": 0,
    "bci.devices": 0, "bci.configs": 0, "bci.montage": 0, "bci": 0, "drivers.base": 0,
    "bci.signals": 1, "bci.decoding": 1, "drivers": 1,
    "bci.pipeline": 2, "bci.plan": 2, "bci.process": 2, "calibration": 2, "drivers.guardian": 2, "drivers.trial": 2,
    "bci.streams": 3, "bci.recording": 3, "bci.simulation": 3,
    "bci.live": 4,
    "bci.console": 5, "bci.display": 5, "bci.cli": 5, "bci.cli_device": 5, "bci.__main__": 5,
}  # fmt: skip
FILES = sorted(path for room in ("bci", "drivers", "calibration") for path in (ROOT / room).rglob("*.py"))
LARGEST_FILE = 400


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def floor_of(module: str) -> int:
    while module not in FLOORS:
        module = module.rpartition(".")[0]
    return FLOORS[module]


def imports_of(path: Path) -> set[str]:
    """Our own modules that a file imports anywhere, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" if is_module(f"{node.module}.{alias.name}") else node.module
                      for alias in node.names}  # fmt: skip
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.split(".")[0] in ("bci", "drivers", "calibration")}


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or path.is_dir()


def all_imports(path: Path) -> set[str]:
    return {
        (node.module if isinstance(node, ast.ImportFrom) else alias.name).split(".")[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if not isinstance(node, ast.ImportFrom) or node.module
    }


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_point_down(path):
    here = module_of(path)
    for name in imports_of(path):
        assert floor_of(name) <= floor_of(here), f"{here} (floor {floor_of(here)}) imports {name} ({floor_of(name)})"


def test_no_two_modules_import_each_other_in_a_circle():
    graph = {module_of(path): imports_of(path) for path in FILES}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join([*trail, module])
        if module in done:
            return
        for name in graph.get(module, ()):
            visit(name, (*trail, module))
        done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("path", [p for p in FILES if module_of(p).startswith("drivers")], ids=module_of)
def test_drivers_know_of_bci_only_its_ground_floor_and_load_no_numpy(path):
    ours = {name for name in imports_of(path) if name.startswith("bci")}
    assert ours <= {"bci.types", "bci.errors", "bci.settings", "bci.devices"}
    assert not all_imports(path) & {"numpy", "numba", "scipy", "pylsl", "mne"}


@pytest.mark.parametrize(
    "path", [p for p in FILES if module_of(p).startswith(("bci.signals", "bci.decoding"))], ids=module_of
)
def test_kernels_know_nothing_of_streams_or_devices(path):
    assert not all_imports(path) & {"pylsl", "serial", "socket", "time", "threading", "subprocess"}


@pytest.mark.parametrize(("library", "room"), [("serial", "drivers"), ("pylsl", "bci")])
def test_each_outside_world_is_touched_in_few_places(library, room):
    users = {module_of(path) for path in FILES if library in all_imports(path)}
    allowed = {
        "serial": {"drivers.dialogue.transport", "drivers.trial.probe", "bci.live.doctor"},
        "pylsl": {
            *(module_of(p) for p in FILES if module_of(p).startswith(("bci.streams", "bci.recording"))),
            "bci.live.loop", "bci.live.stage", "bci.live.doctor", "bci.live.calibrator", "bci.simulation.participant",
            "bci.simulation.amplifier", "bci.simulation.rehearsed", "bci.display.process",
        },
    }  # fmt: skip
    assert users <= allowed[library]


ROOMS_OF_DRIVERS = {
    "base": set(),
    "guardian": {"base"},
    "dialogue": {"base"},
    "devices": {"base", "dialogue"},
    "trial": {"base", "dialogue", "devices"},
    "twins": {"base", "dialogue", "devices", "firmware"},
    "firmware": set(),
}  # fmt: skip


@pytest.mark.parametrize("path", sorted((ROOT / "drivers").glob("*/**/*.py")), ids=module_of)
def test_each_room_of_the_drivers_knows_only_the_rooms_below_it(path):
    here = module_of(path).split(".")[1]
    others = {name.split(".")[1] for name in imports_of(path) if name.startswith("drivers.")} - {here}
    assert others <= ROOMS_OF_DRIVERS[here]


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_no_file_grows_beyond_reading(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LARGEST_FILE


def test_nothing_posix_only_is_imported_at_the_top_of_a_shared_module():
    posix = {"termios", "tty", "fcntl", "resource", "pty", "pwd", "grp"}
    for path in FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        top = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
        assert not top & posix, path
