"""Numbers to scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Along the last axis."""
    powers: NDArray[np.float64] = np.exp(values - values.max(-1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(-1, keepdims=True)
    return shares
