"""When to try again, how long to wait before, and when to give up. Does no I/O and never sleeps.

Exponential back-off with full jitter, after "Exponential Backoff And Jitter" (AWS Architecture
Blog, 2015), and the gRPC rule that a server's RetryInfo is waited for in full.
"""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from earshot import errors
from earshot.rpc import status

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how soon a failed call is tried again. ``max_attempts=1`` never is.

    Raises :class:`earshot.errors.InvalidArgumentError` for numbers that make no policy.
    """

    max_attempts: int = 5
    initial: float = 0.1  # seconds; upper bound of the first wait
    maximum: float = 5.0  # seconds; upper bound of any wait that the server did not ask for
    multiplier: float = 2.0  # of the bound, from one wait to the next
    # Seconds for which a service that has answered before is tried again, however often: an address behind
    # which a machine has died leads there for some more attempts.
    patience: float = 10.0

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise errors.InvalidArgumentError("max_attempts must be 1 or more", field="retry.max_attempts")
        if not (0 <= self.initial <= self.maximum < math.inf and 1 <= self.multiplier < math.inf):
            raise errors.InvalidArgumentError(
                "the waits must be 0 <= initial <= maximum, and the multiplier 1 or more", field="retry"
            )
        if not 0 <= self.patience < math.inf:
            raise errors.InvalidArgumentError(
                "the patience must be 0 seconds or more", field="retry.patience"
            )

    def bound(self, attempt: int) -> float:
        """The longest wait, in seconds, after the attempt of that number, 1 being the first."""
        return min(self.maximum, self.initial * self.multiplier ** min(attempt - 1, 64))


class Attempts:
    """One call over all its attempts: the deadline they share, its id, and the waits between."""

    def __init__(
        self,
        policy: RetryPolicy,
        timeout: float,
        request_id: str,
        clock: Callable[[], float] = time.monotonic,
        *,
        known: bool = False,
    ) -> None:
        """``timeout`` is in seconds from now, for all attempts together.

        ``known``: the service has answered this client before.
        """
        if not 0 < timeout < math.inf:
            raise errors.InvalidArgumentError(
                f"the timeout must be a number of seconds above 0, not {timeout}", field="timeout"
            )
        self.request_id = request_id
        self._policy = policy
        self._clock = clock
        self._timeout = timeout
        self._deadline = clock() + timeout
        self._failed = 0
        self._known = known
        self._failing_since = math.inf

    def time_left(self) -> float:
        """Seconds for the next attempt; raises DeadlineExceededError where there are none."""
        left = self._deadline - self._clock()
        if left <= 0:
            self._give_up(errors.DeadlineExceededError(self._late()), None)
        return left

    def pause_after(self, failure: grpc.RpcError) -> float:
        """Seconds to wait before the next attempt; raises the failure, translated, where there is none."""
        self._failed += 1
        self._failing_since = min(self._failing_since, self._clock())
        error = self._worded(status.from_rpc_error(failure))
        least = least_pause(error)
        if least is None or self._is_enough(error):
            self._give_up(error, failure)
        pause = least + random.uniform(0, self._policy.bound(self._failed))  # noqa: S311 - no secret
        if self._clock() + pause >= self._deadline:
            self._give_up(error, failure)
        return pause

    def _is_enough(self, error: errors.EarshotError) -> bool:
        if self._failed < self._policy.max_attempts:
            return False
        lost = self._known and self._policy.max_attempts > 1 and isinstance(error, errors.UnavailableError)
        return not lost or self._clock() - self._failing_since >= self._policy.patience

    def _worded(self, error: errors.EarshotError) -> errors.EarshotError:
        """The libraries and proxies on the way have words of their own for our deadline.

        A service that gives up well before it has its own limit, and says so.
        """
        ours = self._deadline - self._clock() <= max(0.05, 0.05 * self._timeout)
        if ours and isinstance(error, errors.DeadlineExceededError):
            return errors.DeadlineExceededError(self._late())
        return error

    def _late(self) -> str:
        return f"no answer within {self._timeout:g} s: allow more time, or send less at once"

    def _give_up(self, error: errors.EarshotError, cause: BaseException | None) -> NoReturn:
        error.request_id = self.request_id
        error.add_note(f"request id {self.request_id}, attempts {self._failed}")
        raise error from cause


def least_pause(error: errors.EarshotError) -> float | None:
    """Seconds that must pass before another attempt; None where none would help."""
    if isinstance(error, errors.UnavailableError):
        return 0.0
    if isinstance(error, errors.QuotaExceededError):
        return None  # it says when it resets: a minute's, or a month's end
    if isinstance(error, errors.ResourceExhaustedError) and error.retry_after > 0:
        return error.retry_after
    return None
