"""What the documentation says is true: links, fields, and every command."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bci import profile as profile_module
from bci.profile import Section

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+ ?\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
NETLOC = "://"


def blocks(page, kinds):
    return [text for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")) if kind in kinds]


def bci_commands():
    found = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lines = [line for block in blocks(page, ("sh", "sh run")) for line in block.splitlines()]
        lines += re.findall(r"`(bci [^`]+)`", text)
        found |= {line.split("#")[0].strip() for line in lines if line.startswith("bci ")}
    return sorted(found)


def run(line, folder, timeout=120):
    words = shlex.split(line)
    assert words[0] == "bci"
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, capture_output=True, text=True, timeout=timeout, check=False
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if NETLOC not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("line", bci_commands())
def test_every_command_and_option_that_is_named_exists(line):
    words = shlex.split(line)[1:]
    if words[0] in ("--help", "--version", "COMMAND"):
        return
    command = words[:2] if words[0] in ("profile", "simulate") and len(words) > 1 else words[:1]
    result = run(shlex.join(["bci", *command, "--help"]), ROOT)
    assert result.returncode == 0, line
    for option in (word for word in words if word.startswith("--")):
        assert option in result.stdout, f"{line}: {option}"


@pytest.mark.parametrize(
    "line", sorted({line for page in PAGES for block in blocks(page, ("sh run",)) for line in block.splitlines()})
)
def test_the_commands_that_need_nothing_run(line, tmp_path):
    result = run(line, tmp_path)
    assert result.returncode == 0, result.stderr


@pytest.mark.real
def test_the_commands_for_a_recording_run(real_data, tmp_path):
    shutil.copy(real_data("limblab_spike_wf_2012/Spike_07-19-12_WF_001.mat"), tmp_path / "day.mat")
    block = blocks(ROOT / "docs" / "how-to" / "replay-a-recording.md", ("sh",))[0]
    for line in block.splitlines():
        result = run(line, tmp_path)
        assert result.returncode == 0, f"{line}\n{result.stderr}"
    assert (tmp_path / "model.npz").exists()


def test_every_field_of_a_profile_is_described_with_its_default():
    page = (ROOT / "docs" / "reference" / "profile.md").read_text(encoding="utf-8")
    sections = [value for value in vars(profile_module).values() if isinstance(value, type)]
    for section in sections:
        if issubclass(section, Section) and section is not Section:
            for name, field in section.model_fields.items():
                row = re.search(rf"^\| `{name}` \| (.+?) \|", page, re.MULTILINE)
                assert row, f"{section.__name__}.{name} is not described"
                if isinstance(field.default, float):
                    assert f"| `{name}` | `{field.default}` |" in page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_names_a_place_that_only_its_writer_has(page):
    assert not re.search(r"/(home|root|work|tmp)/", page.read_text(encoding="utf-8"))
