"""Models on disk: the same bytes every time, and nothing that does not fit is ever used."""

import dataclasses
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import model_of, neurons

from bci.decoding.model import StateModel, check_model, load_model, save_model
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


def full_model(**changes):
    """With everything that a model can hold."""
    C, v_int, _ = neurons(n=6)
    discrete = StateModel(("idle", "click"), np.arange(12.0).reshape(2, 6), np.eye(6), 0.5)
    random = np.random.default_rng(0)
    x = np.column_stack([v_int, random.uniform(size=v_int.shape), np.ones(len(v_int))])
    with_position = {"C": random.normal(size=(6, 5)), "R": x.T @ x, "discrete": discrete}
    return dataclasses.replace(
        model_of(C, v_int, provenance={"recording_sha256": "ab"}), **{**with_position, **changes}
    )


def test_position_and_discrete_intents_are_saved_as_they_were(tmp_path):
    model = full_model()
    save_model(tmp_path / "m.npz", model)
    loaded = load_model(tmp_path / "m.npz")
    assert loaded.has_position
    assert (loaded.discrete.states, loaded.discrete.trust) == (("idle", "click"), 0.5)
    for name in ("C", "Q", "R"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(model, name))
    for name in ("means", "covariance"):
        np.testing.assert_array_equal(getattr(loaded.discrete, name), getattr(model.discrete, name))
    save_model(tmp_path / "again.npz", loaded)
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "m.npz").read_bytes()


def test_diagonal_noise_is_saved_as_its_diagonal(tmp_path):
    model = full_model(Q=np.linspace(1.0, 2.0, 6))
    save_model(tmp_path / "m.npz", model)
    np.testing.assert_array_equal(load_model(tmp_path / "m.npz").Q, model.Q)


@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_noticed_or_was_in_no_value(where, bit):
    with tempfile.TemporaryDirectory() as folder:
        path, model = Path(folder) / "m.npz", full_model()
        save_model(path, model)
        content = bytearray(path.read_bytes())
        content[int(where * len(content))] ^= 1 << bit
        path.write_bytes(content)
        try:
            loaded = load_model(path)
        except ModelError:
            return
        for name in ("C", "Q", "R", "feature_labels", "outputs", "nis_gate", "provenance"):
            np.testing.assert_array_equal(getattr(loaded, name), getattr(model, name))


@given(cut=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_is_refused(cut):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.npz"
        save_model(path, full_model())
        content = path.read_bytes()
        path.write_bytes(content[: int(cut * len(content))])
        with pytest.raises(ModelError, match=r"m\.npz"):
            load_model(path)


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("a pickled object was executed",))


def test_a_pickled_object_is_refused_and_never_executed(tmp_path):
    np.savez(tmp_path / "m.npz", meta=np.array([Trap()], dtype=object))
    (tmp_path / "p.npz").write_bytes(pickle.dumps(Trap()))
    for name in ("m.npz", "p.npz"):
        with pytest.raises(ModelError, match="damaged or no model"):
            load_model(tmp_path / name)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"C": np.zeros((6, 4))}, r"C has shape \(6, 4\)"),
        ({"C": np.full((6, 3), np.inf)}, "C holds values that are not finite"),
        ({"Q": np.eye(5)}, "Q has shape"),
        ({"Q": np.triu(np.ones((6, 6)))}, "Q is not symmetric"),
        ({"Q": np.ones((6, 6)) - 2 * np.eye(6)}, "Q is not positive definite"),
        ({"Q": np.array([1.0, 1, 1, 1, 1, 0])}, "Q is not positive definite"),
        ({"R": np.zeros((5, 5))}, "R is not positive definite"),
        ({"nis_gate": 0.0}, "must be positive"),
        ({"nis_gate": np.nan}, "must be positive"),
        ({"n_effective": np.inf}, "must be positive"),
        ({"bin_s": -0.02}, "must be positive"),
        ({"discrete": StateModel(("idle", "fly"), np.zeros((2, 6)), np.eye(6))}, "discrete states are idle, fly"),
        ({"discrete": StateModel(("idle",), np.zeros((1, 6)), np.eye(6))}, "discrete states are idle"),
        ({"discrete": StateModel(("idle", "move"), np.zeros((2, 5)), np.eye(6))}, "means has shape"),
        ({"discrete": StateModel(("idle", "move"), np.zeros((2, 6)), -np.eye(6))}, "covariance is not positive"),
        ({"discrete": StateModel(("idle", "move"), np.zeros((2, 6)), np.eye(6), np.nan)}, "trust"),
    ],
)
def test_a_model_that_cannot_be_used_is_refused_with_the_reason(tmp_path, changes, reason):
    save_model(tmp_path / "m.npz", full_model(**changes))
    with pytest.raises(ModelError, match=reason):
        load_model(tmp_path / "m.npz")


@pytest.mark.parametrize("meta", [b"[]", b"{}", b"nonsense", b"\xff", b'{"kind": "velocity encoding"}'])
def test_a_description_of_something_else_is_refused(tmp_path, meta):
    np.savez(tmp_path / "m.npz", meta=np.frombuffer(meta, dtype=np.uint8), C=np.eye(2), Q=np.eye(2), R=np.eye(2))
    with pytest.raises(ModelError, match=r"m\.npz"):
        load_model(tmp_path / "m.npz")


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
        ({"has_position": True}, "fitted without position"),
        ({"has_discrete": True}, "no discrete intents"),
        ({"bin_s": 0.05}, "its bins are 20 ms, the profile's 50 ms"),
    ],
)
def test_a_model_for_something_else_is_refused_with_what_differs(change, complaint):
    C, v_int, _ = neurons()
    model = model_of(C, v_int)
    fits = {name: getattr(model, name) for name in ("outputs", "feature_labels", "features_hash", "bin_s")}
    fits |= {"has_position": False, "has_discrete": False}
    check_model(model, **fits)
    with pytest.raises(ModelError, match=complaint):
        check_model(model, **{**fits, **change})
