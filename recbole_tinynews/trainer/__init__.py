"""The training loop, the stages and their order."""

from recbole_tinynews.trainer.trainer import PLMNRTrainer, TinyNewsRecTrainer

__all__ = ["PLMNRTrainer", "TinyNewsRecTrainer"]
