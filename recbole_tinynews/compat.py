"""All that RecBole 1.2.1 needs on today's numpy, scipy and torch. Importing this module mends it."""

from __future__ import annotations

import functools
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import torch
from scipy.sparse import dok_matrix

__all__: list[str] = []

# Names that numpy 1.24 and 2.0 removed. RecBole reads the last three and sets the others itself when a Config is
# made; a dataset or a checkpoint that was saved and is loaded again needs them before.
_NUMPY_NAMES: dict[str, type] = {
    "bool": np.bool_,
    "int": np.int_,
    "float": np.float64,
    "complex": np.complex128,
    "object": np.object_,
    "str": np.str_,
    "long": np.int_,
    "unicode": np.str_,
    "float_": np.float64,
    "complex_": np.complex128,
    "unicode_": np.str_,
}


class _TrustingTorch(ModuleType):
    """torch, but ``load`` unpickles: RecBole's checkpoints hold its Config. They are this program's own files."""

    load = staticmethod(functools.partial(torch.load, weights_only=False))

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


def _mend_numpy() -> None:
    for name, value in _NUMPY_NAMES.items():
        if name not in vars(np):
            setattr(np, name, value)


def _mend_scipy() -> None:
    """Graph models fill their adjacency matrix through a private method that scipy has dropped."""
    if not hasattr(dok_matrix, "_update"):
        dok_matrix._update = lambda matrix, entries: matrix._dict.update(entries)


def _mend_trainer() -> None:
    import recbole.trainer.trainer as module

    module.torch = _TrustingTorch("torch")


def _mend_collector() -> None:
    """ItemCoverage, GiniIndex and others keep plain numbers in the collector, which takes all for tensors."""
    from recbole.evaluator.collector import Collector

    original = Collector.get_data_struct

    @functools.wraps(original)
    def get_data_struct(self: Any) -> Any:
        data = self.data_struct._data_dict
        plain = {name: data.pop(name) for name in list(data) if not isinstance(data[name], torch.Tensor)}
        result = original(self)
        result._data_dict.update(plain)
        data.update(plain)
        return result

    Collector.get_data_struct = get_data_struct


def _mend_anomaly_mode() -> None:
    """One of RecBole's models (SINE) turns it on for the whole process when it is imported, and all of them are."""
    import recbole.model.sequential_recommender.sine  # noqa: F401

    torch.autograd.set_detect_anomaly(False)


def _quiet_warnings() -> None:
    """RecBole's own uses of what pandas and torch are about to drop; a user can do nothing about them."""
    for module in (r"recbole\.", r"torch\.cuda\.amp"):
        for category in (FutureWarning, UserWarning):
            warnings.filterwarnings("ignore", category=category, module=module)


_mend_numpy()
_mend_scipy()
_mend_trainer()
_mend_collector()
_mend_anomaly_mode()
_quiet_warnings()
