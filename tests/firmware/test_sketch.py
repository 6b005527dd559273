"""The Arduino sketch as `bci device firmware` writes it, on Arduino's own core, on the emulated chip."""

import re
import subprocess
from pathlib import Path

import pytest
from node_chip import milliseconds

from drivers.devices.node import DISARMED, ESTOP, fault_names
from drivers.firmware import HERE, write_sketch

ARDUINO = Path("/usr/share/arduino/hardware/arduino/avr")
STAND_IN = Path(__file__).parent / "stand_in"
BOARD = ("-mmcu=atmega328p", "-DF_CPU=16000000L", "-DARDUINO=10819", "-DARDUINO_ARCH_AVR", "-DARDUINO_AVR_NANO")
LEAN = ("-Os", "-w", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections")
DECIMALS = "-DDECIMAL_DIG=__DECIMAL_DIG__"  # which Arduino's WString.cpp misses with this compiler


@pytest.fixture(scope="module")
def program(emulator, tmp_path_factory):
    if not ARDUINO.exists():
        pytest.skip("no Arduino core: apt-get install arduino-core-avr")
    folder = tmp_path_factory.mktemp("sketch")
    sketch = write_sketch(folder, "hand")
    main = sketch.with_suffix(".cpp")
    main.write_text("#include <Arduino.h>\n" + sketch.read_text())
    core = ARDUINO / "cores" / "arduino"
    includes = [f"-I{path}" for path in (core, ARDUINO / "variants" / "standard", STAND_IN)]
    build(folder / "c", "avr-gcc", "-std=gnu11", [*core.glob("*.c"), *sketch.parent.glob("*.c")], includes)
    build(folder / "cpp", "avr-g++", "-std=gnu++11", [*core.glob("*.cpp"), main], [*includes, DECIMALS])
    objects = [*folder.glob("c/*.o"), *folder.glob("cpp/*.o")]
    subprocess.run(["avr-g++", *BOARD, *LEAN, *objects, "-o", folder / "node.elf"], check=True)
    return folder / "node.elf"


def build(folder, compiler, standard, sources, options):
    folder.mkdir()
    subprocess.run([compiler, "-c", *BOARD, *LEAN, standard, *options, *sources], cwd=folder, check=True)


def test_it_arms_moves_and_its_stop_button_cuts_power_and_servo(program, make_chip):
    chip = make_chip("hand", program)
    host = chip.greet()
    assert [axis.name for axis in host.axes] == ["hand"]
    assert host.ack.watchdog_ms == 60
    assert not [edge for edge in chip.look() if edge.pin in ("ENABLE", "SERVO0")]
    chip.moving(host)
    assert chip.level("ENABLE")
    assert chip.level("SERVO0")
    since = chip.mark()
    chip.do("stop")
    pressed = chip.wait("STOP", 1, since)
    assert milliseconds(pressed, chip.wait("ENABLE", 0, since)) <= 20.0
    assert milliseconds(pressed, chip.wait("SERVO0", 0, since)) <= 20.0
    assert host.ask().state == ESTOP
    assert "stop input" in fault_names(host.status.faults)


def test_it_stops_when_the_host_falls_silent_and_is_reset_when_it_hangs(program, make_chip):
    chip = make_chip("hand", program)
    chip.moving(chip.greet())
    since = chip.mark()
    edge = chip.wait("MOVING", 0, since)
    assert milliseconds(chip.last_before(edge, "FRAME", 0), edge) <= 300.0  # the lease, then braking from full speed
    chip.wait("ENABLE", 0, since)
    chip.moving(chip.greet())
    since = chip.mark()
    chip.do("hang")
    off = chip.wait("ENABLE", 0, since)
    assert milliseconds(chip.wait("HANG", 1, since), off) <= 120.0
    host = chip.greet()
    assert host.ack.reset_cause == 1
    assert host.ask().state == DISARMED


def test_sketch_bare_program_and_page_name_the_same_pins():
    page = (HERE.parents[1] / "docs" / "build-a-device.md").read_text(encoding="utf-8")
    told = {name: int(pin) for pin, name in re.findall(r"^\| D(\d+) \| ([A-Z]+|servo)", page, re.MULTILINE)}
    assert told == {"STOP": 2, "servo": 4, "ENABLE": 8, "MOVING": 13}
    sketch = (HERE / "arduino" / "node" / "node.ino").read_text(encoding="utf-8")
    assert f"STOP_PIN = {told['STOP']};" in sketch
    assert f"ENABLE_PIN = {told['ENABLE']};" in sketch
    assert f"SERVO_PINS[] = {{{told['servo']}, 5, 6, 7}};" in sketch
    assert "MOVING_PIN = LED_BUILTIN;" in sketch
    bare = (HERE / "avr" / "main.c").read_text(encoding="utf-8")
    for line in ("PD2 STOP", "PB0 ENABLE", "PB5 MOVING", "PD4 to PD7"):  # D2, D8, D13, D4 to D7 of these boards
        assert line in bare


def test_a_sketch_that_somebody_may_have_changed_is_not_written_over(tmp_path):
    from bci.errors import DeviceError

    write_sketch(tmp_path, "relay")
    assert "IS_RELAY true" in (tmp_path / "node" / "axes.h").read_text()
    with pytest.raises(DeviceError, match="is there already"):
        write_sketch(tmp_path, "hand")
