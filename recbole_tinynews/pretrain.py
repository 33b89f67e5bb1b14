"""``python -m recbole_tinynews.pretrain``: a small encoder from scratch, where no pre-trained one is at hand."""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from tokenizers import BertWordPieceTokenizer
from torch.nn.functional import cross_entropy
from transformers import BatchEncoding, BertConfig, BertForMaskedLM, BertTokenizer

from recbole_tinynews import distributed
from recbole_tinynews.command import command
from recbole_tinynews.config import NewsConfig
from recbole_tinynews.data.masked import MaskedTexts
from recbole_tinynews.data.news_table import NewsTable, tokenize
from recbole_tinynews.data.schema import atomic_file
from recbole_tinynews.errors import InputError
from recbole_tinynews.layers.loading import quiet_transformers
from recbole_tinynews.trainer.loop import LoopSettings, Task, train

__all__ = ["PretrainSettings", "encoder_of", "main", "pretrain", "train_vocabulary"]

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_REPORT = "pretrain.json"  # in the finished folder: what it was made of
_logger = logging.getLogger()


@dataclass(frozen=True)
class PretrainSettings:
    """Size of an encoder, and how it is trained.

    Parameters
    ----------
    layers, hidden, heads : int
        Transformer layers, size of a token's state, attention heads.
    vocabulary : int
        Most word pieces.
    length : int
        Most word pieces of a text; what is over is cut.
    epochs, batch_size, learning_rate, seed
        Of the training, by Adam.
    """

    layers: int = 4
    hidden: int = 128
    heads: int = 4
    vocabulary: int = 3000
    length: int = 128
    epochs: int = 3
    batch_size: int = 16
    learning_rate: float = 1e-3
    seed: int = 2020

    def check(self) -> None:
        """Raise an InputError where an encoder cannot be built so."""
        for name, value in asdict(self).items():
            if value <= 0 and name != "seed":
                raise InputError(f"{name} must be more than 0, not {value}")
        if self.hidden % self.heads:
            raise InputError(f"hidden must be a multiple of heads, not {self.hidden} with {self.heads} heads")


def pretrain(
    texts: Sequence[str], output: str | Path, settings: PretrainSettings | None = None, show_progress: bool = True
) -> Path:
    """Train a BERT by masked language modelling and save it as a Hugging Face folder.

    15 % of the word pieces are to be guessed: 80 % of these are masked, 10 % replaced, 10 % left. An interrupted
    training is resumed; an encoder that was made before of the same texts and settings is left as it is.

    Parameters
    ----------
    texts : sequence of str
        What is read, in any order; the vocabulary comes from them, too.
    output : path
        The folder; it appears when all is done.
    settings : PretrainSettings, optional
        The defaults if not given.
    show_progress : bool
        Whether to show bars.

    Returns
    -------
    Path
        ``output``.

    Raises
    ------
    InputError
        If the settings cannot be, there are no texts, or ``output`` holds something else.
    """
    settings, output = settings or PretrainSettings(), Path(output)
    settings.check()
    texts = [text for text in texts if text]
    if not texts:
        raise InputError("there are no texts to read")
    key = hashlib.sha256("\0".join([json.dumps(asdict(settings)), *texts]).encode()).hexdigest()[:12]
    if _made_of(output) == key:
        _logger.info("%s: made before", output)
        return output
    if distributed.processes() > 1:
        raise InputError("an encoder is made in one process: run python -m recbole_tinynews.pretrain first")

    work = output.with_name(f".{output.name}-{key}")
    (work / "pretrain").mkdir(parents=True, exist_ok=True)
    tokenizer = train_vocabulary(texts, settings.vocabulary, settings.length)
    torch.manual_seed(settings.seed)
    model = BertForMaskedLM(_architecture(settings, len(tokenizer)))
    loop = LoopSettings(settings.epochs, settings.learning_rate, settings.learning_rate, show_progress=show_progress)
    tokens = tokenize(texts, tokenizer, settings.length)
    batches = MaskedTexts(tokens, tokenizer, settings.batch_size, settings.seed)
    result = train(_MaskedLanguage(model), batches, loop, work / "pretrain")

    with quiet_transformers():
        model.save_pretrained(work / "model")
    tokenizer.save_pretrained(work / "model")
    report = {"key": key, **result, **asdict(settings)}
    (work / "model" / _REPORT).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(output, ignore_errors=True)  # of other settings
    (work / "model").rename(output)
    shutil.rmtree(work)
    return output


def encoder_of(config: NewsConfig) -> str | None:
    """Return the name or folder of a run's encoder; where it has none but the setting ``encoder``, make it.

    Its folder is ``encoder-<dataset>`` in ``checkpoint_dir``. Whatever the run's seed, it is the same encoder.
    """
    if config["plm"] or not config["encoder"]:
        return config["plm"]
    known = {field.name for field in fields(PretrainSettings)}
    if unknown := sorted(set(config["encoder"]) - known):
        raise InputError(f"encoder has no option {unknown[0]!r}; it has {', '.join(sorted(known))}")
    news = NewsTable.load(config["data_path"])
    folder = Path(config["checkpoint_dir"]) / f"encoder-{config['dataset']}"
    settings = PretrainSettings(**config["encoder"])
    return str(pretrain([*news.titles, *news.bodies], folder, settings, config["show_progress"]))


def train_vocabulary(texts: Sequence[str], size: int, length: int) -> BertTokenizer:
    """Learn word pieces of lower-cased texts.

    Parameters
    ----------
    texts : sequence of str
        What to learn from.
    size : int
        Most word pieces, special tokens and single characters included.
    length : int
        The tokenizer's ``model_max_length``.
    """
    trainer = BertWordPieceTokenizer()
    characters = {character for text in texts for character in trainer.normalize(text) if not character.isspace()}
    # Given here, the pieces "##a" have an order; else that of a hash table, which then decides all ties.
    first = [*_SPECIAL, *(f"##{character}" for character in sorted(characters))]
    trainer.train_from_iterator(texts, size, special_tokens=first, show_progress=False)
    return BertTokenizer(vocab=trainer.get_vocab(), model_max_length=length)


class _MaskedLanguage(Task):
    """Guess the masked word pieces."""

    student: BertForMaskedLM

    def __init__(self, student: BertForMaskedLM) -> None:
        super().__init__()
        self.student = student

    def forward(self, batch: BatchEncoding) -> dict[str, torch.Tensor]:
        states = self.student.bert(batch["input_ids"], batch["attention_mask"]).last_hidden_state
        chosen = batch["labels"] >= 0
        scores = self.student.cls(states[chosen])  # of the others nobody asks
        loss = cross_entropy(scores, batch["labels"][chosen], reduction="sum") / chosen.sum().clamp(min=1)
        return {"loss": loss}


def _architecture(settings: PretrainSettings, vocabulary: int) -> BertConfig:
    return BertConfig(
        vocab_size=vocabulary,
        hidden_size=settings.hidden,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        intermediate_size=4 * settings.hidden,
        max_position_embeddings=settings.length,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )


def _made_of(output: Path) -> str | None:
    """Key of the encoder that stands there already."""
    if not output.exists():
        return None
    try:
        return json.loads((output / _REPORT).read_text(encoding="utf-8"))["key"]
    except (OSError, KeyError, ValueError):
        raise InputError("holds something else; give --output=FOLDER that does not exist", path=output) from None


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; `command` makes an exit code of it."""
    parser = argparse.ArgumentParser(
        prog="python -m recbole_tinynews.pretrain",
        description="Train a small BERT from scratch on the titles and bodies of a dataset, by masked language "
        "modelling. The folder it writes can be given to run_recbole.py as --plm=DIR.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--news", required=True, type=Path, metavar="FILE", help="e.g. dataset/demo/demo.news")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="where the encoder is written")
    for field in fields(PretrainSettings):
        parser.add_argument(f"--{field.name}", type=type(field.default), default=field.default, help=_HELP[field.name])
    options = vars(parser.parse_args(arguments))
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    texts = _texts(options.pop("news"))
    print(pretrain(texts, options.pop("output"), PretrainSettings(**options)))


_HELP = {
    "layers": "transformer layers",
    "hidden": "size of a token's state",
    "heads": "attention heads",
    "vocabulary": "most word pieces",
    "length": "most word pieces of a text",
    "epochs": "passes over the texts",
    "batch_size": "texts in a batch",
    "learning_rate": "Adam's step size",
    "seed": "the same seed makes the same encoder",
}


def _texts(path: Path) -> list[str]:
    if path != atomic_file(path.parent, "news"):
        raise InputError("expected the .news file of a dataset, FOLDER/D/D.news", path=path)
    news = NewsTable.load(path.parent)
    return [*news.titles, *news.bodies]


if __name__ == "__main__":
    sys.exit(main())
