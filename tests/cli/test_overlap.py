"""Reading and writing beside the computing."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mrikit.cli.overlap import ahead, behind

SOON = 30  # seconds; a step that does not overlap waits that long, and fails


@pytest.fixture
def thread():
    with ThreadPoolExecutor(1) as executor:
        yield executor


def test_the_next_item_is_made_while_the_last_is_used(thread):
    made = [threading.Event() for _ in range(3)]

    def items():
        for i, event in enumerate(made):
            event.set()
            yield i

    for i in ahead(items(), thread):
        assert made[min(i + 1, 2)].wait(SOON)
        assert not any(event.is_set() for event in made[i + 2 :])  # one, not more: memory is bounded


def test_an_error_is_raised_in_its_turn(thread):
    def items():
        yield from range(2)
        raise OSError("the disk is gone")

    seen = []
    with pytest.raises(OSError, match="gone"):
        for i in ahead(items(), thread):
            seen.append(i)
    assert seen == [0, 1]


def test_an_item_is_put_while_the_next_is_made(thread):
    may_end, put = threading.Event(), []

    def slow(item):
        assert may_end.wait(SOON)
        put.append(item)

    def items():
        yield 0
        may_end.set()  # reached only if the put of 0 does not hold this up
        yield 1
        assert put[:1] == [0]  # it waits for one before the next
        yield 2

    behind(slow, items(), thread)
    assert put == [0, 1, 2]


def test_an_error_of_putting_ends_the_making(thread):
    made = []

    def full(item):
        raise OSError("no space left")

    def items():
        for i in range(9):
            made.append(i)
            yield i

    with pytest.raises(OSError, match="no space"):
        behind(full, items(), thread)
    assert made == [0, 1]


def test_the_last_put_ends_before_an_error_of_making_goes_on(thread):
    put = []

    def slow(item):
        time.sleep(0.1)
        put.append(item)

    def items():
        yield 0
        raise ValueError

    with pytest.raises(ValueError):
        behind(slow, items(), thread)
    assert put == [0]
