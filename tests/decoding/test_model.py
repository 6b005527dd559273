"""Models on disk: the same bytes every time, and nothing that does not fit is ever used."""

import numpy as np
import pytest
from synthetic import model_of, neurons

from bci.decoding.model import check_model, load_model, save_model
from bci.errors import ModelError


def test_a_saved_model_loads_as_it_was_and_the_bytes_are_always_the_same(tmp_path):
    C, v_int, _ = neurons()
    model = model_of(np.asfortranarray(C), v_int, provenance={"recording": "today", "n": 3})
    save_model(tmp_path / "a.npz", model)
    save_model(tmp_path / "b.npz", model)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    loaded = load_model(tmp_path / "a.npz")
    np.testing.assert_array_equal(loaded.C, model.C)
    assert loaded.feature_labels == model.feature_labels
    assert loaded.provenance == model.provenance


@pytest.mark.parametrize("damage", ["truncated", "flipped", "text", "absent", "nan", "indefinite"])
def test_a_damaged_model_is_refused_before_it_is_used(tmp_path, damage):
    C, v_int, _ = neurons()
    path = tmp_path / "model.npz"
    changes = {"nan": {"R": np.full((3, 3), np.nan)}, "indefinite": {"Q": -np.eye(40)}}.get(damage, {})
    save_model(path, model_of(C, v_int, **changes))
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "text":
        path.write_text("this is no model")
    elif damage == "absent":
        path.unlink()
    with pytest.raises(ModelError) as refusal:
        load_model(path)
    assert "model.npz" in refusal.value.problem
    assert refusal.value.remedy


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"outputs": ("vx",)}, "it decodes vx, vy, the profile wants vx"),
        ({"feature_labels": tuple(f"n{i}" for i in reversed(range(40)))}, "another order"),
        ({"feature_labels": tuple(f"n{i}" for i in range(38))}, r"2 features are missing \(n38, n39\)"),
        ({"feature_labels": tuple(f"n{i}" for i in range(41))}, r"1 are unknown to it \(n40\)"),
        ({"features_hash": "other"}, "feature settings"),
        ({"bin_s": 0.05}, "its bins are 20 ms, the profile's 50 ms"),
    ],
)
def test_a_model_for_something_else_is_refused_with_what_differs(change, complaint):
    C, v_int, _ = neurons()
    model = model_of(C, v_int)
    fits = {name: getattr(model, name) for name in ("outputs", "feature_labels", "features_hash", "bin_s")}
    check_model(model, **fits)
    with pytest.raises(ModelError, match=complaint):
        check_model(model, **{**fits, **change})
