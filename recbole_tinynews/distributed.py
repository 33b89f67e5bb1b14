"""Several processes that train one model.

All processes go through the same batches, and each encodes its share of a batch's distinct news; the vectors are put
together, and what follows (user vectors, losses, metrics) is so little work that each process does it all. So a batch
is the same however many processes there are, and its trained layers run once for each news.
"""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist

from recbole_tinynews.command import PATIENCE
from recbole_tinynews.errors import InputError

__all__ = [
    "average_gradients", "cores", "from_first", "group", "is_first", "launch", "local_first", "own_gpu",
    "processes", "separate_randomness", "share", "show_gpus", "visible_gpus", "whole",
]  # fmt: skip

T = TypeVar("T")

_MISTAKE, _FAULT = 1, 70  # exit codes: of the user's, told by the process itself; of the program
_POLL = 0.5  # seconds
_LONGEST_WAIT = timedelta(hours=3)  # for another process, which may read and tokenise a large dataset first
_VISIBLE_GPUS = os.environ.get("CUDA_VISIBLE_DEVICES")  # as it was: RecBole sets it for every run


def processes() -> int:
    """Processes of this run, as torchrun says."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process is the one that writes and speaks."""
    return os.environ.get("RANK", "0") == "0"


def _local_rank() -> int:
    return int(os.environ.get("LOCAL_RANK", "0"))


def _in_group() -> bool:
    return dist.is_available() and dist.is_initialized()


@contextmanager
def group(device: torch.device) -> Iterator[None]:
    """Connect the processes; does nothing where there is one."""
    if processes() == 1:
        yield
        return
    if device.type == "cuda":  # each process sees one GPU only, see own_gpu
        dist.init_process_group("nccl", device_id=torch.device("cuda", 0), timeout=_LONGEST_WAIT)
    else:
        dist.init_process_group("gloo", timeout=_LONGEST_WAIT)
    yield  # after an error there is nobody left to take leave of
    dist.destroy_process_group()


def launch(number: int, main: Callable[[list[str]], int], arguments: list[str]) -> int:
    """Run ``main(arguments)`` in several processes of this machine; when one dies, all end.

    Returns
    -------
    int
        Exit code: 0 if all went well.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # it tells all that we tell, at length
    show_gpus()
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores() // number)))
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=number,
        run_id="run",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=_POLL,
    )
    try:
        elastic_launch(config, _exit_with)(main, arguments)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode != _MISTAKE:
            print(f"error: process {rank} of {number} died (exit code {failure.exitcode})", file=sys.stderr)
        return 1
    except SignalException as error:
        return 128 + int(error.sigval)
    return 0


def _exit_with(main: Callable[[list[str]], int], arguments: list[str]) -> None:
    try:
        code = main(arguments)
    except Exception:
        time.sleep(PATIENCE)  # if another process has died this one is ended now, and need not complain
        traceback.print_exc()
        code = _FAULT
    if code:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # at once: the others see the connection break before an orderly end is over


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def show_gpus() -> None:
    """Make all GPUs visible that the user left visible; RecBole hides all but one."""
    if _VISIBLE_GPUS is None:
        os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    else:
        os.environ["CUDA_VISIBLE_DEVICES"] = _VISIBLE_GPUS


@cache  # once CUDA has started, it counts what RecBole has left
def visible_gpus() -> tuple[str, ...]:
    """Names of the GPUs that the user left visible."""
    show_gpus()
    number = torch.cuda.device_count()
    return _names(range(number) if _VISIBLE_GPUS is None else _VISIBLE_GPUS)[:number]


def own_gpu(wanted: object) -> str:
    """Which GPU this process uses, of those that the user names or, if none, of those that are visible.

    Parameters
    ----------
    wanted : str, int, sequence of these, or None
        RecBole's ``gpu_id``, as the user gave it.

    Raises
    ------
    InputError
        If there are fewer GPUs than processes on this machine.
    """
    gpus = visible_gpus() if wanted is None else _names(wanted)
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if 0 < len(gpus) < here:
        raise InputError(f"{here} processes, but {len(gpus)} GPUs: start as many, or give --use_gpu=False")
    return gpus[_local_rank()] if gpus else ""


def _names(gpus: object) -> tuple[str, ...]:
    named = gpus if isinstance(gpus, (list, tuple, range)) else str(gpus).split(",")
    return tuple(str(gpu).strip() for gpu in named if str(gpu).strip())


@contextmanager
def local_first() -> Iterator[None]:
    """Let one process of each machine go first, so that the others find its caches."""
    if _in_group() and _local_rank() > 0:
        dist.barrier()
    yield
    if _in_group() and _local_rank() == 0:
        dist.barrier()


def from_first(make: Callable[[], T]) -> T:
    """Call ``make`` in the first process, and return in all of them what it gave."""
    if not _in_group():
        return make()
    box: list[Any] = [make() if is_first() else None]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def share(rows: np.ndarray) -> np.ndarray:
    """Return this process's part; of rows in the order of their size, all parts are about as large."""
    return rows[dist.get_rank() :: dist.get_world_size()] if _in_group() else rows


def whole(part: torch.Tensor) -> torch.Tensor:
    """Add up the parts of all processes, each zero where another's is not.

    The gradient is meant to be averaged by :func:`average_gradients`: every process goes on with the whole, and what
    flows back to a part is multiplied by the number of processes.
    """
    return _Whole.apply(part) if _in_group() else part


def gathered(parts: Sequence[torch.Tensor], own: np.ndarray, empty: torch.Tensor) -> torch.Tensor:
    """Put the rows that this process made, and those of all others, where they belong.

    Parameters
    ----------
    parts : sequence of Tensor
        This process's rows, one part after another; their precision may be lower.
    own : int ndarray
        Their places.
    empty : Tensor of shape (rows, ...)
        Zeros.
    """
    if parts:
        empty = empty.index_copy(0, torch.from_numpy(own).to(empty.device), torch.cat(list(parts)).to(empty.dtype))
    return whole(empty)


class _Whole(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: torch.Tensor) -> torch.Tensor:
        result = part.clone()
        dist.all_reduce(result)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient * dist.get_world_size()


def average_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Average the gradients of all processes, in one message; a missing one counts as zero."""
    if not _in_group():
        return
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
    message = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(message)
    message /= dist.get_world_size()
    for parameter, values in zip(trained, message.split([p.numel() for p in trained]), strict=True):
        parameter.grad = values.view_as(parameter)


def separate_randomness() -> None:
    """Let each process draw its own dropout, from the state that all have in common."""
    if not is_first():
        torch.manual_seed(int(torch.randint(2**62, ())) + dist.get_rank())
