"""A trained model without its dataset: it reads news as they come, and knows users by what they have clicked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerBase

from recbole_tinynews.data.news_table import tokenize
from recbole_tinynews.data.ragged import Ragged
from recbole_tinynews.errors import InputError
from recbole_tinynews.layers import AttentiveUser, ClickModel, NewsEncoder, NewsInput, load_plm, load_tokenizer
from recbole_tinynews.layers.loading import quiet_transformers
from recbole_tinynews.model.build import choose_precision

__all__ = ["NewsRanker"]

_WEIGHTS = "click_model.safetensors"  # all but the encoder's, and what the metadata says
_ENCODER = "news_encoder.plm."


class NewsRanker:
    """A news encoder and a user encoder, for use; their run and its dataset are not needed.

    A user's score of a news is the dot product of their vectors. A news is encoded once, when it comes.

    Parameters
    ----------
    model : ClickModel
        In evaluation mode; its news encoder reads with a pre-trained language model.
    tokenizer : PreTrainedTokenizerBase
        The language model's.
    title_length : int
        Most word pieces of a title that are read.
    history_length : int
        Newest clicks that make a user.

    Examples
    --------
    >>> ranker = NewsRanker.load("student")  # doctest: +SKIP
    >>> news = ranker.encode_news(["Storm over the Atlantic", "A cup final in the rain"])  # doctest: +SKIP
    >>> news @ ranker.encode_users([news[:1]])[0]  # doctest: +SKIP
    """

    def __init__(
        self, model: ClickModel, tokenizer: PreTrainedTokenizerBase, title_length: int, history_length: int
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.title_length = title_length
        self.history_length = history_length

    @classmethod
    def load(cls, folder: str | Path, precision: str = "auto", device: str = "cpu") -> NewsRanker:
        """Load what :meth:`save` has written.

        Parameters
        ----------
        folder : path
            The folder.
        precision : {"auto", "float32", "bfloat16"}
            Arithmetic of the encoder; auto is bfloat16 where the hardware multiplies it faster.
        device : str
            As torch names it: ``cpu``, ``cuda``, ``cuda:1``.

        Raises
        ------
        InputError
            If it is no such folder.
        """
        path = Path(folder) / _WEIGHTS
        try:
            with safe_open(path, "pt") as file:
                lengths = {name: int((file.metadata() or {})[name]) for name in ("title_length", "history_length")}
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
            news_dim, query_dim = (weights[f"user_encoder.projection.{name}"].shape[-1] for name in ("weight", "bias"))
        except (KeyError, OSError, SafetensorError, ValueError) as error:
            raise InputError(f"expected what NewsRanker.save writes ({error})", path=path) from None
        arithmetic = choose_precision(precision, torch.device(device))
        encoder = NewsEncoder(load_plm(str(folder)), news_dim, query_dim, arithmetic)
        model = ClickModel(encoder, AttentiveUser(news_dim, query_dim))
        missing, unknown = model.load_state_dict(weights, strict=False)
        if wrong := [*unknown, *(name for name in missing if not name.startswith(_ENCODER))]:
            raise InputError(f"expected what NewsRanker.save writes ({wrong[0]} is missing or unknown)", path=path)
        encoder.plm.layers.to(encoder.state_dtype)  # now, not in each call
        return cls(model.eval().requires_grad_(False).to(device), load_tokenizer(str(folder)), **lengths)

    def save(self, folder: str | Path) -> None:
        """Write a Hugging Face folder, which other programs can use, too.

        ``AutoModel.from_pretrained(folder)`` gives the language model's layers, ``AutoTokenizer`` the tokenizer.
        ``click_model.safetensors`` holds the rest: of the news encoder additive attention over the states of tokens
        (``pooling``) and a linear map (``dense``), of the user encoder additive attention over news vectors; and, as
        metadata, ``title_length`` and ``history_length``. What was loaded in bfloat16 is saved as it was rounded.
        """
        with quiet_transformers():
            self.model.news_encoder.plm.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        rest = {name: weight for name, weight in self.model.state_dict().items() if not name.startswith(_ENCODER)}
        lengths = {"title_length": str(self.title_length), "history_length": str(self.history_length)}
        save_file(rest, Path(folder) / _WEIGHTS, lengths)

    def encode_news(self, titles: Sequence[str]) -> np.ndarray:
        """Encode news by their titles: float32, shape (titles, news_dim)."""
        longest = min(self.title_length, self.model.news_encoder.plm.longest_text)
        tokens = NewsInput.from_tokens(tokenize(titles, self.tokenizer, longest), self.model.device)
        return self.model.encode_news(tokens, np.arange(len(titles))).cpu().numpy()

    def encode_users(self, histories: Sequence[np.ndarray | Sequence]) -> np.ndarray:
        """Encode users by the vectors of the news that they have clicked.

        Parameters
        ----------
        histories : sequence of array_like of shape (clicks, news_dim)
            A user each, oldest click first; only the newest ``history_length`` count. A user without clicks has the
            zero vector, to which all news are alike.

        Returns
        -------
        float32 ndarray of shape (users, news_dim)
        """
        dim = self.model.news_encoder.news_dim
        newest = [np.asarray(one, dtype=np.float32).reshape(len(one), dim)[-self.history_length :] for one in histories]
        table = torch.from_numpy(np.concatenate([np.zeros((1, dim), dtype=np.float32), *newest]))
        clicks = Ragged.from_lengths(np.arange(1, len(table)), np.array([len(history) for history in newest]))
        nobody = np.zeros(len(newest), dtype=np.int64)
        return self.model.encode_users(table.to(self.model.device), clicks, nobody).cpu().numpy()
