"""Where a news encoder starts: from what its PLM knows already.

A randomly drawn linear map blurs the dot products of the PLM's mean vectors, and at the paper's learning
rates small data cannot mend that. These starts need no label and no training.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

from recbole_tinynews.layers.news_encoder import NewsEncoder
from recbole_tinynews.layers.news_input import NewsInput

__all__ = ["LinearMap", "principal_directions", "regression", "start_from"]

LinearMap = dict[str, torch.Tensor]  # weight and bias, in double precision


def principal_directions(encoder: NewsEncoder, source: NewsInput, rows: np.ndarray) -> LinearMap:
    """Return the linear map to the principal directions of an encoder's pooled states.

    Centring takes away what all news share and keeps the dot products otherwise. The vectors are scaled
    such that scores of different news spread by about 1, where a softmax can learn.

    Parameters
    ----------
    encoder : NewsEncoder
        Its pooling is the mean while untrained.
    source : NewsInput
        Texts.
    rows : int ndarray
        The news to look at.

    Returns
    -------
    LinearMap
        To as many dimensions as the encoder's vectors have, but no more than its hidden size or ``rows``.
    """
    pooled = _pooled(encoder, source, rows)
    size = min(encoder.dense.out_features, encoder.dense.in_features, len(rows))
    pca = PCA(size, svd_solver="covariance_eigh").fit(pooled)
    weight = pca.components_ / np.square(pca.explained_variance_).sum() ** 0.25
    return _linear_map(weight, -weight @ pca.mean_)


def regression(student: NewsEncoder, teacher: NewsEncoder, source: NewsInput, rows: np.ndarray) -> LinearMap:
    """Return the linear map with which a student comes closest to a teacher's vectors.

    Ridge regression on the student's pooled states, in closed form.

    Parameters
    ----------
    student : NewsEncoder
        Its pooling is the mean while untrained.
    teacher : NewsEncoder
        The model to come close to.
    source : NewsInput
        Texts.
    rows : int ndarray
        The news to look at.

    Returns
    -------
    LinearMap
        To all dimensions of the vectors.
    """
    with torch.no_grad():
        target = teacher.eval()(source, rows).double().cpu().numpy()
    ridge = Ridge().fit(_pooled(student, source, rows), target)
    return _linear_map(ridge.coef_, ridge.intercept_)


@torch.no_grad()
def start_from(encoder: NewsEncoder, start: LinearMap) -> None:
    """Set an encoder's linear map; dimensions beyond those of ``start`` keep their values."""
    size = len(start["weight"])
    encoder.dense.weight[:size] = start["weight"].to(encoder.dense.weight)
    encoder.dense.bias[:size] = start["bias"].to(encoder.dense.bias)


def _linear_map(weight: np.ndarray, bias: np.ndarray) -> LinearMap:
    return {"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)}


@torch.no_grad()
def _pooled(encoder: NewsEncoder, source: NewsInput, rows: np.ndarray) -> np.ndarray:
    return encoder.eval().pool(source, rows).double().cpu().numpy()
