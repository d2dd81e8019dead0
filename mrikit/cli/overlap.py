"""Reading and writing beside the computing: one slice ahead of it, one behind.

Slices are let go of before the next is waited for; a name that still held one would cost the memory of one more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, wait
from typing import Any, TypeVar

T = TypeVar("T")
_END: Any = object()


def ahead(items: Iterator[T], thread: Executor) -> Iterator[T]:
    """`items`, the next of which `thread` makes while the last is being used; an error is raised in its turn."""
    coming = thread.submit(next, items, _END)
    while (item := coming.result()) is not _END:
        coming = thread.submit(next, items, _END)
        yield item
        del item


def behind(put: Callable[[T], object], items: Iterable[T], thread: Executor) -> None:
    """`put(item)` for all in their order, in `thread`, while the next is being made. An error of it is raised then."""
    last: Future[object] | None = None
    try:
        for item in items:
            if last is not None:
                last.result()
            last = thread.submit(put, item)
            del item
        if last is not None:
            last.result()
    finally:
        if last is not None:
            wait([last])
