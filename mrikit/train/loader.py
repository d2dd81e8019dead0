"""Items to learn from, drawn ahead of the training loop."""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from mrikit.train.stop import ignore_all

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def load_ahead(dataset: Dataset, numbers: range, n_workers: int = 1) -> Generator[Any, None, None]:
    """`dataset[i]` for i of `numbers`, in their order; worker processes are a few items ahead and end when it does."""
    loader = DataLoader(
        _Guarded(dataset),
        batch_size=None,
        sampler=numbers,
        num_workers=n_workers,
        prefetch_factor=4 if n_workers else None,
        multiprocessing_context="fork" if n_workers else None,
        worker_init_fn=_start_worker,
    )
    for item in loader:
        if isinstance(item, _Failure):
            raise item.error
        yield item


@dataclass(frozen=True)
class _Failure:
    """What went wrong with an item."""

    error: Exception


class _Guarded(Dataset):
    """A dataset whose errors are items.

    Raised in a worker, they would come back with its traceback as their text, and torch would keep the worker alive.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __getitem__(self, number: int) -> Any:
        try:
            return self.dataset[number]
        except Exception as error:
            return _Failure(error)


def _start_worker(_: int) -> None:
    ignore_all()
    if sys.platform == "linux":
        # A parent that was killed cannot end its worker, which would hold open its connections to other processes.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    torch.set_num_threads(1)
