"""Building blocks: attention, the news encoder, pre-trained encoders."""

from recbole_tinynews.layers.attention import AdditiveAttention
from recbole_tinynews.layers.click_model import ClickModel, ClickScores, NewsSlots
from recbole_tinynews.layers.news_encoder import NewsEncoder, NewsInput
from recbole_tinynews.layers.news_memory import NewsMemory
from recbole_tinynews.layers.plm import PLM, load_plm, load_tokenizer

__all__ = [
    "PLM",
    "AdditiveAttention",
    "ClickModel",
    "ClickScores",
    "NewsEncoder",
    "NewsInput",
    "NewsMemory",
    "NewsSlots",
    "load_plm",
    "load_tokenizer",
]
