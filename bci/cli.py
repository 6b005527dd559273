"""The command line: `bci …`. Each command imports what it needs when it runs, so that help is there at once."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bci import __version__
from bci.cli_device import ProfilePath, device_app
from bci.errors import BciError

app = typer.Typer(
    name="bci",
    help="Real-time BCI decoder. No medical device: wire a hardware emergency stop.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
profile_app = typer.Typer(help="Check the profile of a participant.", no_args_is_help=True)
app.add_typer(profile_app, name="profile")
simulate_app = typer.Typer(help="A participant or an amplifier that is not there, as LSL peers.", no_args_is_help=True)
app.add_typer(simulate_app, name="simulate")
app.add_typer(device_app, name="device")

RecordingPath = Annotated[Path, typer.Argument(metavar="FILE", help="A recording, or the folder of a session.")]
SessionPath = Annotated[Path, typer.Argument(metavar="SESSION", help="Its folder, or the folder of sessions.")]
SessionsOption = Annotated[Path, typer.Option("--sessions", help="Where session folders are made.")]
StreamOption = Annotated[str, typer.Option("--stream", help="Name, type, source id or number of it.")]
NetworkOption = Annotated[bool, typer.Option("--network", help="Also beyond this machine (LSL has no encryption).")]
DecoderOption = Annotated[
    str | None, typer.Option("--decoder", help="velocity, kalman, or one of a package; default: the profile's.")
]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Also write the result here as JSON.")]


class Suite(StrEnum):
    """Collections of recordings."""

    REAL = "real"


class Signals(StrEnum):
    """Simulated participants of a rehearsal, by the clarity of their signals."""

    GOOD = "good"
    MEDIAN = "median"
    POOR = "poor"


class Task(StrEnum):
    """What the demo asks for."""

    CUP = "cup"
    CENTRE_OUT = "centre-out"
    RANDOM = "random"
    GRID = "grid"
    PURSUIT = "pursuit"


class Encoder(StrEnum):
    """Kinds of simulated signals."""

    COUNTS = "counts"
    LINEAR = "linear"
    BROADBAND = "broadband"
    EEG = "eeg"
    EMG = "emg"


class DemoDevice(StrEnum):
    """What the demo drives."""

    NODE = "node"
    NODE_AVR = "node-avr"


def _version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"bci {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    seconds: Annotated[float, typer.Option(min=10, max=3600, help="How long, from the first movement on.")] = 60.0,
    task: Annotated[Task, typer.Option(help="What is asked for.")] = Task.CUP,
    seed: Annotated[int, typer.Option(help="Of the simulated participant and the task.")] = 1,
    sessions: SessionsOption = Path("sessions"),
    display: Annotated[bool, typer.Option("--display", help="Also serve the participant's page.")] = False,
    device: Annotated[
        DemoDevice, typer.Option(help="The arm in software, or the firmware on an emulated chip.")
    ] = DemoDevice.NODE,
    hand: Annotated[
        str | None, typer.Option(metavar="PORT", help="Also a hand of your own, on a serial port; arm it with key a.")
    ] = None,
) -> None:
    """Pick up a cup with a simulated participant, or do another task: the whole path."""
    from bci.console.demo import run_demo

    raise typer.Exit(run_demo(task.value, seconds, seed, sessions, display, device.value, hand))


@app.command()
def run(
    profile: ProfilePath,
    model: Annotated[Path | None, typer.Option(help="Model file; default: the one that the profile names.")] = None,
    seconds: Annotated[
        float | None, typer.Option(min=1, help="End after this long; default: until q or Ctrl-C.")
    ] = None,
    port: Annotated[str | None, typer.Option(help="Serial port, or 'twin'; default: the profile's.")] = None,
    sessions: SessionsOption = Path("sessions"),
    network: NetworkOption = False,
    recording: Annotated[bool, typer.Option("--recording/--no-recording", help="Write the signals to disk.")] = True,
) -> None:
    """Decode a live stream and drive the device through the guardian."""
    from bci.console.run import run_profile

    raise typer.Exit(run_profile(profile, model, seconds, port, sessions, network, recording))


@app.command()
def stop(
    session: Annotated[
        str | None, typer.Argument(metavar="[SESSION]", help="Its folder, or how its name begins; default: all.")
    ] = None,
) -> None:
    """Stop what moves, from any terminal: every session, or one.

    Exit code 0 only when each has answered that it stands in STOP.
    """
    from bci.console.stop import stop_sessions

    raise typer.Exit(stop_sessions(session))


@app.command()
def calibrate(
    participant: Annotated[str, typer.Argument(metavar="PARTICIPANT", help="A pseudonym: P01.")],
    profile: Annotated[str, typer.Option("--profile", help="A profile's path or shipped name.")],
    quick: Annotated[bool, typer.Option("--quick", help="60 s, from the last model.")] = False,
    new: Annotated[bool, typer.Option("--new", help="Begin anew; default: go on.")] = False,
    language: Annotated[str, typer.Option(help="en or fr.")] = "en",
    participants: Annotated[Path, typer.Option(help="Where everything is kept.")] = Path("participants"),
    rehearse: Annotated[Signals | None, typer.Option(help="Simulate.")] = None,
    pace: Annotated[float, typer.Option(min=1, max=100, help="Of a rehearsal; 1 is life.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of targets and a rehearsal.")] = 1,
    network: NetworkOption = False,
    recording: Annotated[bool, typer.Option("--recording/--no-recording", help="Write signals.")] = True,
    display: Annotated[bool, typer.Option("--display", help="Also serve the participant's page.")] = False,
) -> None:
    """Guide a participant to accepted control; nothing is moved.

    Exit code 0: accepted, 3: not accepted, 1: left before the end.
    """
    from bci.console.calibrate import Wish, calibrate

    signals = None if rehearse is None else rehearse.value
    wish = Wish(
        participant, profile, participants, language, quick, new, signals, seed, pace, network, recording, display
    )
    raise typer.Exit(calibrate(wish))


@app.command()
def replay(
    file: RecordingPath,
    as_stream: Annotated[bool, typer.Option("--as-stream", help="Publish it over LSL at its own pace.")] = False,
    stream: StreamOption = "",
    speed: Annotated[float, typer.Option(min=0.1, max=100, help="1 is the recording's own pace.")] = 1.0,
    start: Annotated[float, typer.Option(min=0, help="Seconds into the recording.")] = 0.0,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Play this long; default: to its end.")] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Begin again at the end.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Decode a session's folder again; is every bit the same?")
    ] = False,
    network: NetworkOption = False,
) -> None:
    """Show what a recording holds, play it as a live stream, or decode a whole session again."""
    from bci.console.replay import describe, play_as_stream
    from bci.console.verify import verify_session

    if verify:
        raise typer.Exit(verify_session(file))
    if as_stream:
        raise typer.Exit(play_as_stream(file, stream, speed, start, seconds, loop, network))
    raise typer.Exit(describe(file, stream))


@app.command()
def fit(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Recordings, or folders of sessions.")],
    profile: Annotated[str | None, typer.Option("--profile", help="Path or name; default: a session's own.")] = None,
    model: Annotated[Path, typer.Option("--model", help="Where the model is written.")] = Path("model.npz"),
    stream: StreamOption = "",
    decoder: DecoderOption = None,
) -> None:
    """Train a decoder from recordings of the same channels."""
    from bci.console.offline import fit_recordings
    from bci.console.outputs import check_writable

    check_writable(model, "--model")
    raise typer.Exit(fit_recordings(files, profile, model, stream, decoder))


@app.command()
def evaluate(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A recording, or the folder of a session.")
    ] = None,
    profile: Annotated[str | None, typer.Option("--profile", help="Its features; default: counts as recorded.")] = None,
    test: Annotated[Path | None, typer.Option("--test", help="Held out; default: the end of FILE.")] = None,
    train_fraction: Annotated[float, typer.Option(min=0.1, max=0.95, help="Chronological.")] = 0.8,
    stream: StreamOption = "",
    decoder: DecoderOption = None,
    suite: Annotated[Suite | None, typer.Option(help="All decoders, all public recordings.")] = None,
    data: Annotated[Path | None, typer.Option(help="Of the suite; default: BCI_TEST_DATA.")] = None,
    json: JsonOption = None,
) -> None:
    """Score a decoder on the held-out part of a recording.

    Correlation and R² of decoded against true values, per axis.
    """
    if (file is None) == (suite is None):
        raise typer.BadParameter("give either a FILE or --suite real")
    from bci.console.outputs import check_writable

    check_writable(json, "--json")
    if decoder is not None and profile is None:
        raise typer.BadParameter("--decoder needs a --profile, whose features it reads")
    if file is None:
        from bci.console.suite import evaluate_suite

        evaluate_suite(data, json)
        return
    from bci.console.offline import evaluate_recording

    raise typer.Exit(evaluate_recording(file, profile, test, train_fraction, stream, json, decoder))


@app.command()
def display(
    session: Annotated[Path, typer.Argument(metavar="SESSION", help="Its folder; or a folder of them.")] = Path(
        "sessions"
    ),
    address: Annotated[str, typer.Option(help="Of this machine; beyond it a token is needed.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8765,
    language: Annotated[str, typer.Option(help="Of the participant's texts: en or fr.")] = "en",
    kiosk: Annotated[bool, typer.Option("--kiosk", help="Open a browser on it, full screen.")] = False,
) -> None:
    """Show the participant's page of a session that runs."""
    from bci.console.display import run_display

    run_display(session, address, port, language, kiosk)


@app.command()
def streams(
    seconds: Annotated[float, typer.Option(min=0.1, max=30, help="How long to listen.")] = 2.0,
    network: NetworkOption = False,
) -> None:
    """List the LSL streams that can be seen from here."""
    from bci.console.lists import list_streams

    list_streams(seconds, network)


@app.command()
def devices(
    ask: Annotated[bool, typer.Option("--ask", help="Also ask what the USB id does not name: keep clear.")] = False,
) -> None:
    """List the serial ports and what answers on them.

    Nothing is armed. What the USB id does not name is asked only on word.
    """
    from bci.console.lists import list_devices

    list_devices(ask)


@app.command("driver-test")
def driver_test(
    name: Annotated[
        str | None, typer.Argument(metavar="[DRIVER]", help="Without one: which drivers there are.")
    ] = None,
    port: Annotated[str, typer.Option(help="Serial port of a real device, or 'twin'.")] = "twin",
    profile: Annotated[str | None, typer.Option(help="Whose device section is used; default: the example.")] = None,
    move: Annotated[bool, typer.Option("--move", help="Also move a real device: keep clear.")] = False,
) -> None:
    """Check that a device driver does what it promises."""
    from bci.console.drivers import list_drivers, test_driver

    if name is None:
        list_drivers()
    else:
        raise typer.Exit(test_driver(name, port, profile, move))


@app.command()
def doctor(sessions: SessionsOption = Path("sessions")) -> None:
    """Check this machine for a session, with remedies."""
    from bci.console.lists import print_examination

    raise typer.Exit(print_examination(sessions))


@profile_app.command("check")
def check_profile(file: ProfilePath) -> None:
    """Check every field of a profile and say what it describes."""
    from bci.console.lists import print_profile

    print_profile(file)


@simulate_app.command("participant")
def simulate_participant(
    world: Annotated[str, typer.Option(help="Source id; default: the first 'bci.world'.")] = "",
    tau_ms: Annotated[float, typer.Option(min=1, help="Smoothing as the user knows it.")] = 120.0,
    beta: Annotated[float, typer.Option(min=0.01, help="And gain.")] = 0.7,
    habits: Annotated[str, typer.Option(help="For example delay_s=0.3,fatigue=0.2")] = "",
    pauses: Annotated[float, typer.Option(min=0, max=1, help="Before so many targets.")] = 0.0,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Default: until Ctrl-C.")] = None,
    network: NetworkOption = False,
) -> None:
    """Watch the cursor and the target of a session; publish what is meant."""
    from bci.console.simulate import simulate_participant as simulate

    simulate(world, tau_ms, beta, habits, pauses, seconds, network)


@simulate_app.command("amplifier")
def simulate_amplifier(
    profile: ProfilePath,
    encoder: Annotated[Encoder | None, typer.Option(help="Default: as the profile wants.")] = None,
    clarity: Annotated[float, typer.Option(min=0, help="1 is a good participant.")] = 1.0,
    drift: Annotated[str, typer.Option(help="For example time_lapse=1000,bursts_per_min=2")] = "",
    mains: Annotated[float, typer.Option(min=1, help="Hz.")] = 50.0,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 1,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Default: until Ctrl-C.")] = None,
    network: NetworkOption = False,
) -> None:
    """Publish a profile's stream, from a simulated participant's effort."""
    from bci.console.simulate import simulate_amplifier as simulate

    simulate(profile, None if encoder is None else encoder.value, clarity, drift, mains, seed, seconds, network)


def main() -> None:
    """Run the command line; an operator's mistake ends in one message and exit code 1, never in a traceback."""
    from bci.console.outputs import speak_plainly

    speak_plainly()
    try:
        app()
    except BciError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
    except OSError as error:
        where = "" if error.filename is None else f": {error.filename}"
        typer.echo(f"error: {error.strerror or error}{where}. Check that place, its rights and its space.", err=True)
        sys.exit(1)
