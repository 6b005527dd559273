"""Decoders: from features to intended velocity.

`KalmanDecoder` is loaded when it is asked for, so that the live processes never wait for scikit-learn.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bci.decoding.estimator import KalmanDecoder

__all__ = ["KalmanDecoder"]


def __getattr__(name: str) -> Any:
    if name == "KalmanDecoder":
        from bci.decoding.estimator import KalmanDecoder

        return KalmanDecoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
