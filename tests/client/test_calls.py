import math

import pytest

from latentspace import InvalidArgumentError, NotFoundError, OverloadedError, UnavailableError
from latentspace.calls import (
    DEFAULT_TIMEOUTS_S,
    Attempts,
    CallKind,
    ClientOptions,
    RetryPolicy,
    merged_timeouts,
)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def attempts(
    kind: CallKind = CallKind.READ, timeout_s: float = 60.0, policy: RetryPolicy | None = None
) -> tuple[Attempts, Clock]:
    clock = Clock()
    options = ClientOptions(retry=policy or RetryPolicy())
    return Attempts(options, kind, timeout_s, clock), clock


def test_pauses_double_and_jitter() -> None:
    tries, _ = attempts(policy=RetryPolicy(max_attempts=9, first_pause_s=1.0, max_pause_s=5.0))
    error = UnavailableError("gone")
    pauses = [tries.pause_s(error) for _ in range(8)]
    for pause, ceiling in zip(pauses, [1, 2, 4, 5, 5, 5, 5, 5], strict=True):
        assert ceiling / 2 <= pause <= ceiling
    assert len(set(pauses)) == 8
    with pytest.raises(UnavailableError):
        tries.pause_s(error)


def test_what_may_not_be_tried_again() -> None:
    for kind, error in (
        (CallKind.READ, NotFoundError("no")),
        (CallKind.READ, OverloadedError("full, and no word of when to come back")),
        (CallKind.CREATE, UnavailableError("perhaps it was made")),
        (CallKind.LABELS, UnavailableError("perhaps it was made")),
    ):
        with pytest.raises(type(error)):
            attempts(kind)[0].pause_s(error)


def test_overload_waits_at_least_as_long_as_it_is_told() -> None:
    for kind in (CallKind.READ, CallKind.CREATE):
        pause = attempts(kind)[0].pause_s(OverloadedError("full", retry_after_s=2.0))
        assert 2.0 <= pause < 2.2


def test_never_past_the_deadline() -> None:
    tries, clock = attempts(timeout_s=3.0)
    assert tries.remaining_s() == 3.0
    clock.now += 2.0
    assert tries.remaining_s() == 1.0
    with pytest.raises(OverloadedError):
        tries.pause_s(OverloadedError("full", retry_after_s=1.0))
    clock.now += 5.0
    assert tries.remaining_s() == 0.0


def test_success_counts_anew() -> None:
    tries, _ = attempts(policy=RetryPolicy(max_attempts=2))
    for _ in range(5):
        tries.pause_s(UnavailableError("gone"))
        tries.succeeded()


def test_no_deadline() -> None:
    assert attempts(timeout_s=math.inf)[0].remaining_s() is None


def test_timeouts_by_kind() -> None:
    assert merged_timeouts(None, None) == DEFAULT_TIMEOUTS_S
    assert set(DEFAULT_TIMEOUTS_S) == set(CallKind)
    merged = merged_timeouts(2.0, {"load": 1000.0})
    assert merged[CallKind.READ] == 2.0
    assert merged[CallKind.LOAD] == 1000.0
    assert merged[CallKind.WATCH] == math.inf


@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_bad_timeouts_are_refused(value: float) -> None:
    with pytest.raises(InvalidArgumentError, match="seconds above 0"):
        merged_timeouts(value, None)
    with pytest.raises(InvalidArgumentError, match="timeout_s"):
        attempts(timeout_s=value)


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="one of read, embed"):
        merged_timeouts(None, {"reed": 1.0})
