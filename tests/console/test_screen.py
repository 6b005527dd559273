"""What comes from outside is shown as it is."""

import ast
import re
from pathlib import Path

import pytest
from recordings import CUES, cues, signal, write_xdf
from typer.testing import CliRunner

from bci.cli import app
from bci.console.screen import Screen

CONSOLE = Path(__file__).resolve().parents[2] / "bci" / "console"
MARKUP = re.compile(r"\[/?(bold|dim|red|green|yellow|italic|link|#)[^\]]*\]|\[/\]")


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("text", ["EMG [left]", "[e0]", "[/close]", "[bold]x", ":warning:", "a\\[b]"])
def test_the_screen_changes_no_text(text, capsys):
    screen = Screen()
    screen.print(text)
    assert capsys.readouterr().out.strip() == text
    with screen.status(text):
        pass


def test_names_labels_and_markers_in_brackets_are_shown(tmp_path):
    path = write_xdf(
        tmp_path / "P01 [left].xdf",
        signal(name="EMG [left]", labels=[f"[e{i}]" for i in range(8)]),
        cues(values=[[f"[/{word}]"] for _, word in CUES]),
    )
    result = run("replay", path)
    assert result.exit_code == 0
    for shown in ("EMG [left]", "[e3]", "[/close] × 8"):
        assert shown in result.stdout


def test_a_damaged_recording_ends_in_exit_code_3_and_one_note_of_each_loss(tmp_path):
    data = write_xdf(tmp_path / "a.xdf", signal(), cues()).read_bytes()
    (tmp_path / "cut.xdf").write_bytes(data[: len(data) // 2])
    result = run("replay", tmp_path / "cut.xdf")
    assert result.exit_code == 3
    assert result.stdout.count("note: The file is damaged") == 1


@pytest.mark.parametrize("path", sorted(CONSOLE.glob("*.py")), ids=lambda path: path.stem)
def test_no_console_but_this_one_is_made_and_no_markup_is_written(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    made = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "Console"]
    assert not made
    texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    assert not [text for text in texts if MARKUP.search(text)]
    assert "from_markup" not in path.read_text(encoding="utf-8")
