"""Several processes that train one model: each learns from its share of a step's items, and all take the same steps.

torchrun starts them; gloo joins them on CPUs, NCCL on GPUs. Where there is one process, nothing here does anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mrikit.errors import TemporaryError


@contextmanager
def joined(device: str = "cpu") -> Iterator[str]:
    """Join the processes that torchrun started, if it did, once all have come here.

    Yields the device of this process: of GPUs each has one of its own.
    """
    if not dist.is_torchelastic_launched():
        yield device
        return
    on_gpu = device.startswith("cuda")
    # The others wait for the first while it collects the data, which can take hours.
    dist.init_process_group("nccl" if on_gpu else "gloo", timeout=timedelta(days=7))
    try:
        if on_gpu:
            device = f"cuda:{rank() % torch.cuda.device_count()}"
            torch.cuda.set_device(device)
        wait()
        yield device
    finally:
        dist.destroy_process_group()


def size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Number of this process, from 0; the first alone logs, saves and writes."""
    return dist.get_rank() if dist.is_initialized() else 0


def sum_gradients(model: nn.Module, stopping: bool) -> bool:
    """Replace every gradient by its sum over the processes; True if any of them is `stopping`.

    All get the same bits, and so decide alike whatever they decide by them. Raises TemporaryError where another
    process has gone.
    """
    if size() == 1:
        return stopping
    parameters = [p for p in model.parameters() if p.requires_grad]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    flat = torch.cat([*(g.flatten() for g in gradients), gradients[0].new_tensor([float(stopping)])])
    _sum(flat)
    *parts, flag = flat.split([*(p.numel() for p in parameters), 1])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.grad = part.view(parameter.shape)
    return bool(flag > 0)


def mean(numbers: dict[str, float]) -> dict[str, float]:
    """Means over the processes, each of which has numbers of the same names."""
    if size() == 1:
        return numbers
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    values = torch.tensor(list(numbers.values()), dtype=torch.float64, device=device)
    _sum(values)
    return dict(zip(numbers, (values / size()).tolist(), strict=True))


def share(model: nn.Module) -> None:
    """Give every process the weights of the first."""
    if size() > 1:
        for value in model.state_dict().values():
            dist.broadcast(value, 0)


def wait() -> None:
    """Wait for the other processes to come here."""
    if size() > 1:
        with _company():
            dist.barrier()


def _sum(values: Tensor) -> None:
    with _company():
        dist.all_reduce(values)


@contextmanager
def _company() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise TemporaryError(
            "another process of this training run has ended", hint="--resume goes on from the last saved state"
        ) from error
