"""One cause is one event, and then a count."""

from hypothesis import given
from hypothesis import strategies as st

from bci.streams.notices import REPEAT_S, Notices


def told(notices, now_s):
    return [(event.code, event.text) for event in notices.take(now_s)]


def test_the_first_is_told_at_once_and_the_others_as_one_with_their_number():
    notices = Notices()
    notices.tell(0.0, "gap", "3 samples are missing.")
    assert told(notices, 0.0) == [("gap", "3 samples are missing.")]
    for i in range(1, 9):
        notices.tell(i, "gap", f"{i} samples are missing.")
        assert told(notices, i) == []
    assert told(notices, 10.0) == [("gap", "8 samples are missing. (8 times in 10 s)")]
    assert told(notices, 25.0) == []
    notices.tell(26.0, "gap", "again")
    assert told(notices, 26.0) == [("gap", "again")]


def test_another_state_is_told_at_once():
    notices = Notices()
    for i, state in enumerate(["wrong", "right", "right", "wrong"]):
        notices.tell(float(i), "rate", state, state)
    assert [text for _, text in told(notices, 4.0)] == ["wrong", "right", "right", "wrong"]


def test_what_another_cause_explains_is_not_told():
    notices = Notices()
    for i in range(5):
        notices.tell(float(i), "gap", "missing")
    notices.forget("gap", "silent")
    assert told(notices, 20.0) == [("gap", "missing")]


@given(st.lists(st.tuples(st.floats(0.0, 3.0), st.sampled_from("abc")), max_size=200))
def test_no_storm_makes_more_than_two_events_of_a_cause_in_ten_seconds(storm):
    notices, now_s, events = Notices(), 0.0, []
    for pause_s, code in storm:
        now_s += pause_s
        notices.tell(now_s, code, "text")
        events += [(now_s, event.code) for event in notices.take(now_s)]
    for code in "abc":
        stamps = [stamp_s for stamp_s, told_code in events if told_code == code]
        assert all(c - a >= REPEAT_S - 1e-9 for a, c in zip(stamps, stamps[2:], strict=False))
