"""The core of the firmware as a shared library, with the methods of the software twin."""

from __future__ import annotations

import atexit
import ctypes
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

from drivers.firmware import HERE

BENCH = Path(__file__).parent / "bench.c"
SOURCES = [*sorted((HERE / "core").glob("*.c")), BENCH]
INCLUDES = [f"-I{folder}" for folder in (HERE / "core", HERE / "axes", BENCH.parent)]
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wshadow", "-Werror"]
LOOKED_AT = ("state", "faults", "session", "last_seq", "n_ok", "n_bad", "challenge", "is_powered", "is_moving",
             "is_latched", "pulse_x_us", "pulse_hand_us")  # fmt: skip
LARGEST_UNSENT = 300


class Life(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("n_sent", "n_unsent", "n_replayed", "n_answers", "n_active",
                                                     "n_wrong", "digest")]  # fmt: skip

    def figures(self) -> list[int]:
        return [getattr(self, name) for name, _ in self._fields_]


def compile_bench(output: Path, *options: str, compiler: str = "cc") -> None:
    subprocess.run([compiler, *STRICT, *options, *INCLUDES, "-o", output, *SOURCES], check=True)


class Library:
    """The plain functions of bench.c and of the codec."""

    def __init__(self, path: Path) -> None:
        c = self.c = ctypes.CDLL(str(path))
        c.bench_new.restype = ctypes.c_void_p
        c.bench_new.argtypes = [ctypes.c_uint32, ctypes.c_uint8, ctypes.c_bool, ctypes.c_bool]
        c.bench_free.argtypes = [ctypes.c_void_p]
        c.bench_inputs.argtypes = [ctypes.c_void_p, ctypes.c_bool, ctypes.c_uint16]
        c.bench_feed.restype = ctypes.c_size_t
        c.bench_feed.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p]
        c.bench_look.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        c.bench_vector.restype = ctypes.c_size_t
        c.bench_vector.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
        c.bench_unsent.restype = ctypes.c_size_t
        c.bench_unsent.argtypes = [ctypes.c_uint64, ctypes.c_size_t, ctypes.c_char_p]
        c.bench_accepted.restype = ctypes.c_uint64
        c.bench_accepted.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p]
        c.bench_lives.argtypes = [ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p]
        c.node_tick.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
        for name in ("packet_open", "packet_seal", "cobs_encode"):
            getattr(c, name).restype = ctypes.c_uint8
        c.cobs_decode.restype = ctypes.c_int16
        c.crc32_of.restype = ctypes.c_uint32

    def open(self, frame: bytes) -> bytes | None:
        """Header and body of a frame without its delimiter; None when it is refused."""
        buffer = ctypes.create_string_buffer(frame, 256)
        n = self.c.packet_open(buffer, ctypes.c_uint8(len(frame)))
        return buffer.raw[:n] if n else None

    def seal(self, packet: bytes) -> bytes:
        """The frame of a header and body."""
        buffer, frame = ctypes.create_string_buffer(packet, 80), ctypes.create_string_buffer(80)
        n = self.c.packet_seal(buffer, ctypes.c_uint8(len(packet)), frame)
        return frame.raw[:n]

    def unstuff(self, stuffed: bytes) -> bytes | None:
        buffer = ctypes.create_string_buffer(stuffed, 256)
        n = self.c.cobs_decode(buffer, ctypes.c_uint8(len(stuffed)))
        return None if n < 0 else buffer.raw[:n]

    def stuff(self, raw: bytes) -> bytes:
        buffer = ctypes.create_string_buffer(256)
        n = self.c.cobs_encode(raw, ctypes.c_uint8(len(raw)), buffer)
        return buffer.raw[:n]

    def crc32(self, data: bytes) -> int:
        return int(self.c.crc32_of(ctypes.c_uint32(0), data, ctypes.c_uint8(len(data))))

    def vector(self, name: str) -> bytes:
        frame = ctypes.create_string_buffer(80)
        n = self.c.bench_vector(name.encode(), frame)
        return frame.raw[:n]

    def unsent(self, seed: int, n_frames: int) -> bytes:
        """Frames that nobody sent, each with its delimiter."""
        buffer = ctypes.create_string_buffer(LARGEST_UNSENT * n_frames)
        return ctypes.string_at(buffer, self.c.bench_unsent(seed, n_frames, buffer))

    def accepted(self, stream: bytes) -> int:
        """How many frames of a byte stream the codec takes."""
        return int(self.c.bench_accepted(stream, len(stream), ctypes.create_string_buffer(80)))

    def lives(self, seed: int, n_lives: int, n_frames: int) -> Life:
        life = Life()
        self.c.bench_lives(seed, n_lives, n_frames, ctypes.byref(life))
        return life

    def device(self, seed: int = 1, reset_cause: int = 0, is_latched: bool = False, is_relay: bool = False) -> Device:
        return Device(self.c, self.c.bench_new(seed, reset_cause, is_latched, is_relay))


class Device:
    """One device in C, driven as the twin is."""

    def __init__(self, c: ctypes.CDLL, node: int) -> None:
        self._c, self._node, self._now_ms = c, node, 0

    def __del__(self) -> None:
        self._c.bench_free(self._node)

    def __getattr__(self, name: str) -> int:
        seen = (ctypes.c_int64 * len(LOOKED_AT))()
        self._c.bench_look(self._node, seen)
        try:
            return seen[LOOKED_AT.index(name)]
        except ValueError:
            raise AttributeError(name) from None

    def feed(self, data: bytes, now_ms: int) -> bytes:
        if now_ms != self._now_ms:
            self.step(now_ms)
        answers = ctypes.create_string_buffer(70 * (data.count(0) + 1))
        return ctypes.string_at(answers, self._c.bench_feed(self._node, data, len(data), answers))

    def step(self, now_ms: int, dt_s: float = 0.001) -> None:
        self._now_ms = now_ms
        self._c.node_tick(self._node, now_ms)

    def see(self, is_stop_open: bool = False, faults: int = 0) -> None:
        self._c.bench_inputs(self._node, is_stop_open, faults)


@functools.cache
def library() -> Library:
    """Compile once for this process."""
    folder = Path(tempfile.mkdtemp(prefix="bci-node-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    compile_bench(folder / "libbench.so", "-O2", "-shared", "-fPIC")
    return Library(folder / "libbench.so")
