"""The report of a calibration that is not over: what was done is in it, in the operator's language."""

import json
import re

import pytest
from rehearsing import Laboratory, shipped

from calibration.catalogue import Catalogue
from calibration.report import write_report
from calibration.wizard import Outcome


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A good participant, left before the first control."""
    laboratory = Laboratory(tmp_path_factory.mktemp("begun"), shipped("intracortical_rates"))
    laboratory.finish(until="assisted")
    return laboratory


def report_of(laboratory, language, *, is_rehearsal):
    procedure = laboratory.procedure
    path = write_report(procedure.folder, laboratory.profile, procedure.state, Outcome.OPEN, Catalogue(language),
                        is_rehearsal=is_rehearsal)  # fmt: skip
    return path.read_text(encoding="utf-8"), json.loads((procedure.folder / "report.json").read_text(encoding="utf-8"))


def test_what_was_done_is_in_it_and_what_was_not_is_not(begun):
    html, facts = report_of(begun, "en", is_rehearsal=False)
    assert facts["outcome"] == "open"
    assert [attempt["phase"] for attempt in facts["attempts"]] == ["signals", "rest", "observation"]
    assert "Which channel tells which direction" in html
    assert "Quality of the channels" in html
    assert "Paths of the evaluation" not in html
    assert "rehearsal" not in html


def test_it_speaks_french_and_says_that_it_was_a_rehearsal(begun):
    html, facts = report_of(begun, "fr", is_rehearsal=True)
    for wanted in ("Calibrage P01", "Contrôle des signaux", "réussi", "personne simulée", "pas un dispositif médical"):
        assert wanted in html
    assert facts["is_rehearsal"]


def test_it_needs_nothing_from_elsewhere(begun):
    html, _ = report_of(begun, "en", is_rehearsal=True)
    assert not re.search(r"https?://|<script|<link|url\(", html)
    assert all(source.startswith("data:image/png;base64,") for source in re.findall(r'src="([^"]+)"', html))


def test_its_json_holds_every_gate_with_what_was_measured(begun):
    _, facts = report_of(begun, "en", is_rehearsal=True)
    gates = [gate for attempt in facts["attempts"] for gate in attempt["gates"]]
    assert all({"measure", "value", "limit", "is_least", "is_passed"} == set(gate) for gate in gates)
    assert len(facts["quality"]) == 96
    assert len(facts["tuning_C"]) == 96
