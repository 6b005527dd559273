"""Decoders: from features to intended velocity.

Those for researchers are loaded when they are asked for, so that the live processes never wait for scikit-learn.
"""

from typing import TYPE_CHECKING, Any

from bci.compiled import ensure_cache

if TYPE_CHECKING:
    from bci.decoding.estimator import KalmanDecoder
    from bci.decoding.falcon import FalconDecoder

__all__ = ["FalconDecoder", "KalmanDecoder"]

ensure_cache()


def __getattr__(name: str) -> Any:
    if name == "KalmanDecoder":
        from bci.decoding.estimator import KalmanDecoder

        return KalmanDecoder
    if name == "FalconDecoder":
        from bci.decoding.falcon import FalconDecoder

        return FalconDecoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
