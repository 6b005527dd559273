"""The page of hazards names every row of the fault table, and only tests that exist and break what it says."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "safety" / "hazards.md").read_text(encoding="utf-8")
ROWS = re.findall(r'^    "(F\d+)": Fault', (ROOT / "tests" / "faults" / "table.py").read_text(encoding="utf-8"), re.M)
LINES = re.findall(r"^\| (F\d+) \| (.+) \|$", PAGE, re.M)
NAMED = [(row, test) for row, tests in LINES for test in re.findall("`(.+?)`", tests)]


@cache
def functions(path):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("row", ROWS)
def test_every_row_of_the_fault_table_is_a_cause_with_a_control_and_in_the_list_of_tests(row):
    causes, tests = PAGE.split("## Rows and their tests")
    assert re.search(rf"\b{row}\b", "".join(re.findall(r"^\|.*\|$", causes, re.M)))
    assert f"\n| {row} | " in tests


@pytest.mark.parametrize(("row", "test"), NAMED)
def test_every_test_that_it_names_exists_and_breaks_what_its_row_says(row, test):
    path, name = test.split("::")
    assert name in functions(path)
    if path.startswith("tests/faults/"):
        marks = " ".join(ast.unparse(mark) for mark in functions(path)[name].decorator_list)
        assert f"fault('{row}')" in marks
