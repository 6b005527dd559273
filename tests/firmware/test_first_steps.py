"""The first steps of docs/build-a-device.md, on the emulated board."""

import subprocess
import sys

from drivers.trial.probe import probe


def bci(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "bci", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_board_is_named_dry_run_says_what_would_move_and_the_conformance_suite_greets_it(make_chip):
    chip = make_chip("hand")
    assert probe(chip.path) == "node/1, firmware 1, axes hand [1]"
    result = bci("device", "dry-run", "node_hand", "--port", chip.path)
    assert result.returncode == 0, result.stderr
    for words in ("+ grasp", "hand", "1.2 s", "nothing is armed"):
        assert words in result.stdout
    result = bci("driver-test", "node", "--port", chip.path)
    assert result.returncode == 0, result.stdout
    assert "5 passed, 8 not tried" in result.stdout
    assert not [edge for edge in chip.look() if edge.pin in ("ENABLE", "SERVO0")]
