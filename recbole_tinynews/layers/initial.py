"""Where a news encoder starts: from what its PLM knows already.

A randomly drawn linear map blurs the dot products of the PLM's mean vectors, and at the paper's learning
rates small data cannot mend that. These starts need no label and no training.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

from recbole_tinynews.layers.news_encoder import NewsEncoder, NewsInput

__all__ = ["start_from_teacher", "start_from_variance"]


def start_from_variance(encoder: NewsEncoder, source: NewsInput, rows: np.ndarray) -> None:
    """Set the linear map to the principal directions of the pooled states.

    Centring takes away what all news share and keeps the dot products otherwise. The vectors are scaled
    such that scores of different news spread by about 1, where a softmax can learn. Dimensions beyond the
    encoder's hidden size keep their random values.

    Parameters
    ----------
    encoder : NewsEncoder
        Changed in place; its pooling is the mean while untrained.
    source : NewsInput
        Texts.
    rows : int ndarray
        The news to look at.
    """
    pooled = _pooled(encoder, source, rows)
    size = min(encoder.dense.out_features, encoder.dense.in_features, len(rows))
    pca = PCA(size, svd_solver="covariance_eigh").fit(pooled)
    weight = pca.components_ / np.square(pca.explained_variance_).sum() ** 0.25
    _set(encoder, weight, -weight @ pca.mean_)


def start_from_teacher(student: NewsEncoder, teacher: NewsEncoder, source: NewsInput, rows: np.ndarray) -> None:
    """Set the student's linear map to the one that comes closest to the teacher's vectors.

    Ridge regression on the student's pooled states, in closed form.

    Parameters
    ----------
    student : NewsEncoder
        Changed in place; its pooling is the mean while untrained.
    teacher : NewsEncoder
        The model to come close to.
    source : NewsInput
        Texts.
    rows : int ndarray
        The news to look at.
    """
    with torch.no_grad():
        target = teacher.eval()(source, rows).double().cpu().numpy()
    ridge = Ridge().fit(_pooled(student, source, rows), target)
    _set(student, ridge.coef_, ridge.intercept_)


@torch.no_grad()
def _pooled(encoder: NewsEncoder, source: NewsInput, rows: np.ndarray) -> np.ndarray:
    return encoder.eval().pool(source, rows).double().cpu().numpy()


@torch.no_grad()
def _set(encoder: NewsEncoder, weight: np.ndarray, bias: np.ndarray) -> None:
    size = len(weight)
    encoder.dense.weight[:size] = torch.from_numpy(weight).to(encoder.dense.weight)
    encoder.dense.bias[:size] = torch.from_numpy(bias).to(encoder.dense.bias)
