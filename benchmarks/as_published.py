"""The plain way, with the shapes of the published code: fixed lengths, padding and repeats included.

The baseline of all ratios in results/speed.md. Same network, same weights, same losses as the package's.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.metrics import ndcg_score, roc_auc_score
from torch import nn
from transformers import AutoModel

from recbole_tinynews.data.clicks import ClickBatch
from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.layers import AdditiveAttention
from recbole_tinynews.layers.loading import quiet_transformers

__all__ = ["PlainClickModel", "PlainNewsEncoder", "evaluate_in_a_loop"]


class PlainNewsEncoder(nn.Module):
    """Encode texts of one padded length.

    Parameters
    ----------
    plm : str
        Folder of the encoder.
    layers, trained_layers : int
        Depth, and how many of its last layers are trained.
    news_dim, query_dim : int
        Sizes of vectors and queries.
    """

    def __init__(self, plm: str, layers: int, trained_layers: int, news_dim: int = 256, query_dim: int = 200) -> None:
        super().__init__()
        with quiet_transformers():
            self.model = AutoModel.from_pretrained(plm, num_hidden_layers=layers, add_pooling_layer=False)
        self.model.requires_grad_(False)
        self.model.encoder.layer[layers - trained_layers :].requires_grad_(True)
        self.pooling = AdditiveAttention(self.model.config.hidden_size, query_dim)
        self.dense = nn.Linear(self.model.config.hidden_size, news_dim)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Encode padded token ids of shape (texts, length)."""
        mask = tokens > 0
        states = self.model(tokens, attention_mask=mask.long()).last_hidden_state
        return self.dense(self.pooling(states, mask))


class PlainClickModel(nn.Module):
    """Encode every slot of a batch, padding clicks and repeats too."""

    def __init__(self, encoder: PlainNewsEncoder, tokens: torch.Tensor, history_length: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.user_encoder = AdditiveAttention(encoder.dense.out_features, encoder.pooling.projection.out_features)
        self.tokens = tokens
        self.history_length = history_length

    def forward(self, batch: ClickBatch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return scores, vectors of all slots, user vectors, and the news in the slots."""
        missing = self.history_length - batch.history.shape[1]
        history = nn.functional.pad(batch.history, (0, missing))
        slots = torch.cat([history, batch.candidates], dim=1)
        vectors = self.encoder(self.tokens[slots.flatten()]).view(*slots.shape, -1)
        user = self.user_encoder(vectors[:, : self.history_length], history > 0)
        scores = (vectors[:, self.history_length :] @ user.unsqueeze(-1)).squeeze(-1)
        return scores, vectors, user, slots


def evaluate_in_a_loop(users: np.ndarray, news: np.ndarray, log: ImpressionLog) -> dict[str, float]:
    """Rate impressions one by one with sklearn, given user and news vectors."""
    values = []
    for row in range(len(log)):
        labels = log.labels[log.candidates.offsets[row] : log.candidates.offsets[row + 1]]
        if labels.min() == labels.max():
            continue
        scores = news[log.candidates[row]] @ users[row]
        ranks = np.argsort(np.argsort(-scores)) + 1
        values.append(
            [
                roc_auc_score(labels, scores),
                (labels / ranks).sum() / labels.sum(),
                ndcg_score([labels], [scores], k=5),
                ndcg_score([labels], [scores], k=10),
            ]
        )
    return dict(zip(("auc", "mrr", "ndcg@5", "ndcg@10"), np.mean(values, axis=0).tolist(), strict=True))
