"""Building blocks: attention, the news encoder, pre-trained encoders."""

from recbole_tinynews.layers.attention import AdditiveAttention
from recbole_tinynews.layers.click_model import ClickModel, ClickScores, NewsSlots
from recbole_tinynews.layers.loading import MaskedHead, load_plm, load_tokenizer
from recbole_tinynews.layers.news_encoder import NewsEncoder, NewsInput, PackStates
from recbole_tinynews.layers.news_memory import NewsMemory
from recbole_tinynews.layers.plm import PLM, LayerStates

__all__ = [
    "PLM",
    "AdditiveAttention",
    "ClickModel",
    "ClickScores",
    "LayerStates",
    "MaskedHead",
    "NewsEncoder",
    "NewsInput",
    "NewsMemory",
    "NewsSlots",
    "PackStates",
    "load_plm",
    "load_tokenizer",
]
