"""RecBole's Config with the settings of this package under the user's, merged deeply."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import recbole
import yaml
from recbole.config import Config
from recbole.evaluator.register import metric_types, smaller_metrics
from recbole.utils import EvaluatorType, ModelType

import recbole_tinynews.compat  # noqa: F401
from recbole_tinynews import distributed
from recbole_tinynews.data.dataset import has_impressions
from recbole_tinynews.data.schema import atomic_file
from recbole_tinynews.errors import InputError
from recbole_tinynews.evaluator.metrics import METRICS
from recbole_tinynews.nesting import merged, nested
from recbole_tinynews.registry import resolve_model
from recbole_tinynews.settings import CLICK_STAGES, OWN_CLICK_KEYS, check_kinds, check_values

__all__ = ["NewsConfig", "properties_folder"]

# Known to RecBole, but in none of its files.
_UNLISTED = frozenset({"model", "dataset", "config_files", "encoding", "local_rank", "world_size"})
# RecBole's, which our stages do without.
_NOT_OURS = frozenset({"clip_grad_norm", "eval_step", "learner", "stopping_step", "weight_decay"})
# A stage's own, where batches are ours; those of a dataset without impressions come from RecBole's loader.
_OF_LOADER = frozenset({"train_batch_size", "num_negatives", "group_by_user"})
_TYPING_ERROR = 0.8  # similarity to a known key from which on an unknown one is taken for it


class NewsConfig(Config):
    """Configuration of one run.

    What counts, from the strongest to the weakest: command line, ``config_dict``, files (later before earlier), this
    package's ``properties/``, RecBole's. Nested settings are merged: ``{"eval_args": {"order": "TO"}}`` leaves the rest
    of ``eval_args`` as it was. A dot stands for one step down: ``post_train.epochs``.

    Parameters
    ----------
    model : str or type, optional
        Name of a model (ours or RecBole's) or its class; default: the key ``model`` of the settings.
    dataset : str, optional
        Name of the dataset, a folder in ``data_path``; default: the key ``dataset`` of the settings.
    config_file_list : sequence of path, optional
        Yaml files.
    config_dict : mapping, optional
        Settings.
    command_line : sequence of str
        ``--key=value`` each. The command line of the process is never read.

    Attributes
    ----------
    impressions : bool
        Whether the dataset has impressions to evaluate on.
    remarks : list of str
        What the user should be told about the settings: keys that nothing knows, or that have no effect.

    Raises
    ------
    InputError
        If a file, the model or a value cannot be used.
    """

    internal_config_dict: dict[str, Any]

    def __init__(
        self,
        model: str | type | None = None,
        dataset: str | None = None,
        config_file_list: Sequence[str | Path] | None = None,
        config_dict: Mapping[str, Any] | None = None,
        command_line: Sequence[str] = (),
    ) -> None:
        self.command_line = list(command_line)
        self.impressions = False
        self.bound_to: str | None = None
        self.remarks: list[str] = []
        try:
            super().__init__(model, dataset, config_file_list, config_dict)
        except InputError:
            raise
        except (NotImplementedError, RuntimeError, TypeError, ValueError) as error:
            raise InputError(str(error)) from error

    @property
    def recipe(self) -> dict[str, Any]:
        """What makes this config again, as plain values: ``model``, ``dataset`` and the user's ``settings``.

        ``bound_to`` tells the dataset of a model that fits no other one.
        """
        settings = {key: value for key, value in self.external_config_dict.items() if key not in _UNLISTED}
        if self["plm"]:
            settings["plm"] = self["plm"]
        return {"model": self.model, "dataset": self.dataset, "settings": settings, "bound_to": self.bound_to}

    def _convert_config_dict(self, config_dict: Mapping[str, Any]) -> dict[str, Any]:
        """RecBole runs strings as Python code; here they can be values only."""
        return {key: _value(value) if isinstance(value, str) else value for key, value in config_dict.items()}

    def _load_config_files(self, file_list: Iterable[str | Path] | None) -> dict[str, Any]:
        settings: dict[str, Any] = {}
        for path in file_list or ():
            settings = merged(settings, nested(self._read(Path(path))))
        return settings

    def _load_variable_config_dict(self, config_dict: Mapping[str, Any] | None) -> dict[str, Any]:
        return nested(self._convert_config_dict(copy.deepcopy(dict(config_dict or {}))))

    def _load_cmd_line(self) -> dict[str, Any]:
        given = {}
        for argument in self.command_line:
            key, equals, value = argument.removeprefix("--").partition("=")
            if not argument.startswith("--") or not equals or not key:
                raise InputError(f"expected --key=value, found {argument!r}")
            given[key] = value
        return nested(self._convert_config_dict(given))

    def _merge_external_config_dict(self) -> None:
        self.external_config_dict = merged(
            merged(self.file_config_dict, self.variable_config_dict), self.cmd_config_dict
        )

    def _get_model_and_dataset(self, model: str | type | None, dataset: str | None) -> tuple[str, type, str]:
        model = model or self.external_config_dict.get("model")
        dataset = dataset or self.external_config_dict.get("dataset")
        if not model or not dataset:
            raise InputError("expected a model and a dataset: --model=NAME --dataset=NAME")
        dataset = str(dataset).rstrip("/")
        if "/" in dataset:
            folder, _, name = dataset.rpartition("/")
            raise InputError(f"expected the name of a folder in data_path: --data_path={folder} --dataset={name}")
        return super()._get_model_and_dataset(resolve_model(model) if isinstance(model, str) else model, dataset)

    def _load_internal_config_dict(self, model: str, model_class: Any, dataset: str) -> None:
        super()._load_internal_config_dict(model, model_class, dataset)
        folder = properties_folder()
        self._put_under(self._read(folder / "overall.yaml"))
        for path in self._model_files():
            self._put_under(self._read(path))
        for_dataset = folder / "dataset" / f"{dataset}.yaml"
        if for_dataset.exists():
            sections = self._read(for_dataset)
            for name in ("any", *self._class_names()):
                self._put_under(sections.get(name) or {})
        self._put_variant_under(folder / "variant")
        data = Path(self.external_config_dict.get("data_path", self.internal_config_dict["data_path"])) / dataset
        self.impressions = has_impressions(data)
        self._ordered = not self.impressions and atomic_file(data, "news").exists() and self._has_times(data)
        if self.impressions or self._ordered:
            settings = self._read(folder / ("impressions.yaml" if self.impressions else "clicks.yaml"))
            self._put_under(settings["any"])
            self._put_under(settings.get(model_class.type.name.lower(), {}))

    def _has_times(self, data: Path) -> bool:
        """Whether the clicks of a dataset have a time."""
        time_field = self.external_config_dict.get("TIME_FIELD", self.internal_config_dict["TIME_FIELD"])
        try:
            with atomic_file(data, "inter").open(encoding="utf-8") as lines:
                return f"{time_field}:float" in next(lines, "").rstrip("\n").split("\t")
        except (OSError, UnicodeDecodeError):  # is told when it is read
            return False

    def _get_final_config_dict(self) -> dict[str, Any]:
        given = dict(self.external_config_dict)
        self.check_keys(given)
        if self.impressions:
            for key in {"metrics", "eval_args", "topk"} & set(given):
                del given[key]
                self.remarks.append(f"{key} has no effect: impressions are evaluated by {', '.join(METRICS)}")
        final = merged(self.internal_config_dict, given)
        check_kinds(final, self.internal_config_dict)
        if _learns_from_all_items(self.model_class, final):
            final["train_neg_sample_args"] = given.get("train_neg_sample_args")
        if self._ordered:
            _read_times(final)
        if final["negatives"] not in ("catalogue", "impression"):
            raise InputError(f"negatives must be catalogue or impression, not {final['negatives']!r}")
        if final["negatives"] == "impression" and not self.impressions:
            self.remarks.append("negatives has no effect: the dataset has no impressions")
        if ours := getattr(self.model_class, "uses_impressions", False):
            check_values(final, self._stages())
            self.remarks += [f"{key} has no effect on {self.model}" for key in sorted(_NOT_OURS & set(given))]
            if "history_length" in self.internal_config_dict:
                self._tell_loaders(final)
                self.remarks += self._without_effect(final, given)
        metrics = _measured(final, ours) if not self.impressions else METRICS
        if metrics and str(final["valid_metric"]).lower() not in metrics:
            raise InputError(f"valid_metric must be one of {', '.join(metrics)}, not {final['valid_metric']!r}")
        if max(final["nproc"], distributed.processes()) > 1 and not ours:
            raise InputError(f"{self.model} trains in one process: only this package's own models share the work")
        if not distributed.is_first():
            final |= {"state": "error", "show_progress": False}
        final["gpu_id"] = distributed.own_gpu(given.get("gpu_id")) if final["use_gpu"] else ""
        return final

    def _without_effect(self, final: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[str]:
        """Tell what the user sets for the clicks, and no stage reads."""
        stages = sorted(CLICK_STAGES & self._stages())
        for key in sorted(OWN_CLICK_KEYS & set(given)):
            if stages and all(key in final[stage] for stage in stages):
                told = ", ".join(f"{stage}.{key} is {final[stage][key]}" for stage in stages)
                yield f"{key} has no effect: {told}"
        if not self.impressions:
            for stage in stages:
                for key in sorted(_OF_LOADER & set(final[stage])):
                    yield f"{stage}.{key} has no effect without impressions"

    def _tell_loaders(self, final: dict[str, Any]) -> None:
        """Let RecBole's loaders do what our settings say."""
        final["MAX_ITEM_LIST_LENGTH"] = final["history_length"]
        negatives = self.internal_config_dict["train_neg_sample_args"] | (final["train_neg_sample_args"] or {})
        final["train_neg_sample_args"] = {**negatives, "sample_num": final["num_negatives"]}
        if not self.impressions:
            final["train_batch_size"] *= final["num_negatives"]  # RecBole counts pairs of a click and a negative

    def _put_variant_under(self, folder: Path) -> None:
        """Apply the settings of a version of the paper; v1 is what the model's own file says."""
        variant = self.external_config_dict.get("variant", self.internal_config_dict.get("variant"))
        known = {path.stem: path for path in folder.glob("*.yaml")}
        if variant in known:
            self._put_under(self._read(known[variant]))
        elif variant not in (None, "v1"):
            raise InputError(f"variant must be one of {', '.join(sorted({'v1', *known}))}, not {variant!r}")

    def _put_under(self, settings: Mapping[str, Any]) -> None:
        self.internal_config_dict = merged(self.internal_config_dict, settings)

    def _read(self, path: Path) -> dict[str, Any]:
        """Read a yaml file, in RecBole's dialect (1e-3 is a number)."""
        try:
            settings = yaml.load(path.read_text(encoding="utf-8"), Loader=self.yaml_loader) or {}
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", path=path) from None
        except UnicodeDecodeError:
            raise InputError("cannot be read: not UTF-8", path=path) from None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            raise InputError(
                f"not yaml: {getattr(error, 'problem', error)}", path=path, line=mark and mark.line + 1
            ) from None
        if not isinstance(settings, dict):
            raise InputError("expected lines of the form 'key: value'", path=path)
        return settings

    def check_keys(self, given: Mapping[str, Any]) -> None:
        """Refuse settings that no stage reads, and, for our models, typing errors; remark on other unknown ones."""
        known = set(self.internal_config_dict).union(_UNLISTED, *self.parameters.values())
        unknown = [key for key in given if key not in known]
        if unknown:  # a file may serve several models
            known |= self._keys_of_all_models()
        ours = getattr(self.model_class, "uses_impressions", False)
        for key in unknown:
            if key not in known:
                if ours and get_close_matches(key, known, cutoff=_TYPING_ERROR):
                    raise InputError(_complaint(key, known))
                self.remarks.append(_complaint(key, known))
        for key, value in given.items():
            default = self.internal_config_dict.get(key)
            if isinstance(value, dict) and isinstance(default, dict) and key in self._stages():
                parts = set(default) | (OWN_CLICK_KEYS if key in CLICK_STAGES else set())
                for part in sorted(set(value) - parts):
                    raise InputError(_complaint(f"{key}.{part}", [f"{key}.{one}" for one in parts]))

    def _class_names(self) -> list[str]:
        """Names of the model's class and of those that it inherits from, from the most general on."""
        return [cls.__name__ for cls in reversed(self.model_class.__mro__)]

    def _model_files(self) -> list[Path]:
        """Settings are inherited as classes are."""
        folder = properties_folder() / "model"
        return [path for name in self._class_names() if (path := folder / f"{name}.yaml").exists()]

    def _stages(self) -> set[str]:
        """Keys that hold a stage's own settings."""
        settings = {key: value for path in self._model_files() for key, value in self._read(path).items()}
        return {key for key, value in settings.items() if isinstance(value, dict)} - set(self.parameters["Training"])

    def _keys_of_all_models(self) -> set[str]:
        folders = (properties_folder(), Path(recbole.__file__).parent / "properties")
        return {key for folder in folders for path in folder.rglob("*.yaml") for key in self._read(path)}


def properties_folder() -> Path:
    """Folder of the default settings: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    inside = package / "properties"
    return inside if inside.is_dir() else package.parent / "properties"


def _value(text: str) -> Any:
    """Read a Python literal or true/false; anything else is a string."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (SyntaxError, TypeError, ValueError):
        return text


def _learns_from_all_items(model_class: type, settings: Mapping[str, Any]) -> bool:
    """Tell whether RecBole insists on training without sampled negatives."""
    return (
        settings["MODEL_TYPE"] == ModelType.SEQUENTIAL
        and settings.get("loss_type") == "CE"
        and not hasattr(model_class, "input_type")
    )


def _read_times(final: dict[str, Any]) -> None:
    """Let RecBole read the time, by which clicks are split; for context-aware models it is no feature."""
    time_field = final["TIME_FIELD"]
    if final["load_col"] and "inter" in final["load_col"]:
        columns = dict.fromkeys([*final["load_col"]["inter"], time_field])
        final["load_col"] = {**final["load_col"], "inter": list(columns)}
    if final["MODEL_TYPE"] == ModelType.CONTEXT:
        final["unused_col"] = final["unused_col"] or {"inter": [time_field]}


def _measured(settings: Mapping[str, Any], ours: bool) -> list[str]:
    """Names of what RecBole's evaluation gives; of its own models' validation it takes care itself."""
    if not ours:
        return []
    cuts = settings["topk"] if isinstance(settings["topk"], list) else [settings["topk"]]
    names = [name.lower() for name in settings["metrics"] if name.lower() not in smaller_metrics]
    ranking = {name for name in names if metric_types[name] == EvaluatorType.RANKING}
    return [full for name in names for full in ([f"{name}@{cut}" for cut in cuts] if name in ranking else [name])]


def _complaint(key: str, known: Iterable[str]) -> str:
    close = get_close_matches(key, known, n=1)
    return f"unknown setting {key!r}" + (f": did you mean {close[0]!r}?" if close else "")
