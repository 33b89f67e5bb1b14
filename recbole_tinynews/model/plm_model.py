"""Models that read with a pre-trained language model."""

from __future__ import annotations

from recbole_tinynews.data.news_table import tokenize
from recbole_tinynews.layers import ClickModel, NewsInput, load_tokenizer
from recbole_tinynews.model.build import build_click_model
from recbole_tinynews.model.news_model import NewsModel

__all__ = ["PLMModel"]


class PLMModel(NewsModel):
    """A pre-trained language model, cut to its first layers, reads the news (paper, section 3.1).

    All subclasses are this network; how it comes to its weights is the matter of their trainers, see
    :mod:`recbole_tinynews.trainer`. Settings: ``properties/model/PLMModel.yaml``.
    """

    depth_key = "student_layers"

    def build(self) -> ClickModel:
        """Build the network at the depth that the setting ``depth_key`` says."""
        return build_click_model(self.config, self.config[self.depth_key], self.config["trained_layers"])

    def read_titles(self) -> NewsInput:
        """Return word pieces."""
        longest = min(self.config["title_length"], self.click_model.news_encoder.plm.longest_text)
        tokens = tokenize(self.texts.titles, load_tokenizer(self.config["plm"]), longest, self.cache)
        return NewsInput.from_tokens(tokens, self.config["device"])
