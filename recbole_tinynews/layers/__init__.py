"""Building blocks: attention, the news encoder, pre-trained encoders."""

from recbole_tinynews.layers.attention import AdditiveAttention, SelfAttention
from recbole_tinynews.layers.click_model import ClickModel, ClickScores, NewsSlots, NewsSource
from recbole_tinynews.layers.loading import MaskedHead, load_plm, load_tokenizer
from recbole_tinynews.layers.news_encoder import NewsEncoder, PackStates
from recbole_tinynews.layers.news_input import FrozenStates, NewsInput, TextSource
from recbole_tinynews.layers.news_memory import NewsMemory
from recbole_tinynews.layers.plm import PLM, LayerStates
from recbole_tinynews.layers.user_encoder import AttentiveUser, RecurrentUser, SelfAttentiveUser, UserEncoder
from recbole_tinynews.layers.word_encoder import LSTUREncoder, NAMLEncoder, NRMSEncoder, WordEncoder, WordInput

__all__ = [
    "PLM",
    "AdditiveAttention",
    "AttentiveUser",
    "ClickModel",
    "ClickScores",
    "FrozenStates",
    "LSTUREncoder",
    "LayerStates",
    "MaskedHead",
    "NAMLEncoder",
    "NRMSEncoder",
    "NewsEncoder",
    "NewsInput",
    "NewsMemory",
    "NewsSlots",
    "NewsSource",
    "PackStates",
    "RecurrentUser",
    "SelfAttention",
    "SelfAttentiveUser",
    "TextSource",
    "UserEncoder",
    "WordEncoder",
    "WordInput",
    "load_plm",
    "load_tokenizer",
]
