"""When Rasa is left alone, and how it is tried again."""

from __future__ import annotations

from nlu.rasa_client.breaker import Breaker, BreakerState


class Clock:
    def __init__(self) -> None:
        self.seconds = 50.0

    def __call__(self) -> float:
        return self.seconds


def broken() -> tuple[Breaker, Clock]:
    """A breaker that just opened."""
    clock = Clock()
    breaker = Breaker(3, 1.0, 5.0, clock)
    for _ in range(3):
        turn = breaker.enter()
        assert turn is not None
        breaker.fail(turn)
    return breaker, clock


def test_failures_count_in_a_row_only() -> None:
    breaker = Breaker(3, 1.0, 5.0, Clock())
    for good in (False, False, True, False, False):
        turn = breaker.enter()
        assert turn is not None
        assert not turn.trial
        (breaker.succeed if good else breaker.fail)(turn)
    assert breaker.state is BreakerState.CLOSED


def test_pauses_grow_up_to_a_limit_and_begin_anew() -> None:
    breaker, clock = broken()
    for pause in (1.0, 2.0, 4.0, 5.0, 5.0):
        assert breaker.state is BreakerState.OPEN
        clock.seconds += pause - 0.01
        assert breaker.enter() is None
        clock.seconds += 0.01
        turn = breaker.enter()
        assert turn is not None
        assert turn.trial
        assert breaker.state is BreakerState.TRIAL
        assert breaker.enter() is None
        breaker.fail(turn)
    clock.seconds += 5.0
    turn = breaker.enter()
    assert turn is not None
    breaker.succeed(turn)
    assert breaker.state is BreakerState.CLOSED
    assert breaker.pause == 1.0
    for _ in range(3):
        turn = breaker.enter()
        assert turn is not None
        breaker.fail(turn)
    assert breaker.state is BreakerState.OPEN


def test_a_trial_without_outcome_is_free_for_the_next() -> None:
    breaker, clock = broken()
    clock.seconds += 1.0
    turn = breaker.enter()
    assert turn is not None
    breaker.leave(turn)
    again = breaker.enter()
    assert again is not None
    assert again.trial


def test_what_was_asked_before_it_opened_decides_nothing() -> None:
    clock = Clock()
    breaker = Breaker(1, 1.0, 5.0, clock)
    first, second, third = breaker.enter(), breaker.enter(), breaker.enter()
    assert first is not None
    assert second is not None
    assert third is not None
    breaker.fail(first)
    breaker.succeed(second)
    assert breaker.state is BreakerState.OPEN
    clock.seconds += 0.5
    breaker.fail(third)
    clock.seconds += 0.5
    assert breaker.allows(), "the late failure made the pause no longer"
