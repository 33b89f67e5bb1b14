"""The stages: each is made by a function of a context. None of them knows which comes next."""

from recbole_tinynews.trainer.stages.fine_tuning import fine_tune, learn_clicks
from recbole_tinynews.trainer.stages.newsbert import train_jointly
from recbole_tinynews.trainer.stages.pretraining import post_train, read_masked
from recbole_tinynews.trainer.stages.tinybert import distil_layers
from recbole_tinynews.trainer.stages.tinynewsrec import stage1, stage2

__all__ = [
    "distil_layers",
    "fine_tune",
    "learn_clicks",
    "post_train",
    "read_masked",
    "stage1",
    "stage2",
    "train_jointly",
]
