"""The training loop, the stages and their order."""

from recbole_tinynews.trainer.trainers import (
    NewsBERTTrainer,
    PLMNRTrainer,
    TinyBERTTrainer,
    TinyNewsRecTrainer,
    WordModelTrainer,
)

__all__ = ["NewsBERTTrainer", "PLMNRTrainer", "TinyBERTTrainer", "TinyNewsRecTrainer", "WordModelTrainer"]
