"""Pre-trained language models: cutting, freezing, and starting from any layer."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, cast

import torch
from torch import nn
from transformers import AttentionInterface, PreTrainedModel

from recbole_tinynews.errors import InputError
from recbole_tinynews.layers.dropout import Dropout
from recbole_tinynews.layers.packed_attention import packed_attention
from recbole_tinynews.layers.texts import Groups, text_spans

__all__ = ["PLM", "LayerStates"]

AttentionInterface.register("packed", packed_attention)


class LayerStates(NamedTuple):
    """What a layer made of some tokens.

    Parameters
    ----------
    hidden : Tensor of shape (tokens, hidden)
        Its output.
    query, key : Tensor of shape (tokens, hidden)
        Projections, all heads side by side, whose dot products are its attention scores.
    """

    hidden: torch.Tensor
    query: torch.Tensor
    key: torch.Tensor


class PLM(nn.Module):
    """An encoder of Hugging Face's `transformers`, cut to its first layers.

    The lower part (embeddings and the layers below the first trained one) is frozen: it gets no gradient
    and no dropout, so that its output depends on the news alone and may be computed once.

    Parameters
    ----------
    model : PreTrainedModel
        The encoder. Its layers must stand in one ``ModuleList`` and its embeddings in ``embeddings``, as in
        BERT, RoBERTa, DistilBERT, ELECTRA and MPNet.
    num_layers : int, optional
        Layers kept, counted from the embeddings; all if not given.

    Raises
    ------
    InputError
        If the encoder is built otherwise or has fewer layers.
    """

    def __init__(self, model: PreTrainedModel, num_layers: int | None = None) -> None:
        super().__init__()
        if getattr(model, "pooler", None) is not None:
            model.register_module("pooler", None)  # never used; its weights would be trained by nothing
        self.model = model
        self._layers_path = _find_layers(model)
        depth = len(self.layers)
        if num_layers is None:
            num_layers = depth
        if not 1 <= num_layers <= depth:
            raise InputError(
                f"the pre-trained encoder has {depth} layers, {num_layers} were asked for: set layers, teacher_layers "
                f"or student_layers to {depth} or less"
            )
        del self.layers[num_layers:]
        model.config.num_hidden_layers = num_layers
        self.num_frozen = 0
        # MPNet computes attention by itself; its texts go through the layers length by length.
        self.packed = bool(model._supports_attention_backend)
        if self.packed:
            model.set_attn_implementation("packed")
        for parent in list(model.modules()):
            for name, child in parent.named_children():
                if isinstance(child, nn.Dropout):
                    parent.register_module(name, Dropout(child.p).train(child.training))

    @property
    def layers(self) -> nn.ModuleList:
        """The transformer layers."""
        return cast(nn.ModuleList, self.model.get_submodule(self._layers_path))

    @property
    def hidden_size(self) -> int:
        """Size of a token's state."""
        return self.model.config.hidden_size

    @property
    def longest_text(self) -> int:
        """Most tokens of a text, special tokens included: as many as there are positions."""
        positions = getattr(self.model.embeddings, "position_embeddings", None)
        if positions is None:  # relative ones only
            return self.model.config.max_position_embeddings
        return positions.num_embeddings - self._first_position

    @property
    def _first_position(self) -> int:
        """Position of a text's first token; RoBERTa and MPNet leave some unused."""
        padding = getattr(getattr(self.model.embeddings, "position_embeddings", None), "padding_idx", None)
        return 0 if padding is None else padding + 1

    def freeze(self, trained_layers: int) -> None:
        """Train the last layers only; with at least as many as there are, all layers, but never the embeddings."""
        self.num_frozen = max(0, len(self.layers) - trained_layers)
        self.model.requires_grad_(False)
        self.layers[self.num_frozen :].requires_grad_(True)
        self.train(self.training)

    def frozen_weights(self) -> dict[str, torch.Tensor]:
        """Return the weights of the frozen part."""
        trained = {id(parameter) for parameter in self.parameters() if parameter.requires_grad}
        return {name: weight for name, weight in self.state_dict(keep_vars=True).items() if id(weight) not in trained}

    def train(self, mode: bool = True) -> PLM:
        """Switch dropout in the trained layers; the frozen part stays without."""
        super().train(mode)
        self.model.train(False)
        self.layers[self.num_frozen :].train(mode)
        return self

    def compile_layers(self) -> None:
        """Let torch fuse what it can in each layer, whatever the number of tokens; attention stays as it is."""
        for layer in self.layers:
            layer.compile(dynamic=True)

    def forward(self, states: torch.Tensor, groups: Groups) -> torch.Tensor:
        """Return the states after the last layer.

        Parameters
        ----------
        states : Tensor of shape (tokens, hidden)
            What :meth:`frozen_states` gave for some texts, one text after another.
        groups : sequence of (number, length)
            How many texts of which length follow each other.

        Returns
        -------
        Tensor of shape (tokens, hidden)
        """
        return self._run_layers(states, groups, slice(self.num_frozen, None))

    def layer_states(
        self, states: torch.Tensor, groups: Groups, wanted: Sequence[int]
    ) -> tuple[torch.Tensor, dict[int, LayerStates]]:
        """Return the states after the last layer, and what the wanted layers make of the tokens, by number.

        Parameters
        ----------
        states, groups
            As for :meth:`forward`.
        wanted : sequence of int
            Numbers of layers that are not frozen, counted from 0.
        """
        results: dict[int, LayerStates] = {}
        done = self.num_frozen
        for number in sorted(wanted):
            if done < number:
                states = self._run_layers(states, groups, slice(done, number))
            with _outputs_of(_projections(self.layers[number])) as projected:
                states = self._run_layers(states, groups, slice(number, number + 1))
            done = number + 1
            results[number] = LayerStates(states, *(torch.cat(parts) for parts in projected))
        if done < len(self.layers):
            states = self._run_layers(states, groups, slice(done, None))
        return states, results

    @torch.no_grad()
    def frozen_states(
        self, token_ids: torch.Tensor, groups: Groups, dtype: torch.dtype | None = None
    ) -> torch.Tensor:
        """Return the states that enter the first trained layer, shape (tokens, hidden).

        Parameters
        ----------
        token_ids : int Tensor of shape (tokens,)
            Some texts, one after another.
        groups
            As for :meth:`forward`.
        dtype : torch.dtype, optional
            Type of the states that enter the first layer, and of the result; that of the weights if not given.
        """
        embeddings, where = self.model.get_submodule("embeddings"), {}
        if hasattr(embeddings, "position_embeddings"):  # not where positions are relative only
            starts = text_spans(groups, token_ids.device)[0]
            places = torch.arange(len(token_ids), device=token_ids.device) - starts + self._first_position
            where["position_ids"] = places[None]
        states = embeddings(input_ids=token_ids.long()[None], **where).squeeze(0)
        if hasattr(self.model, "embeddings_project"):  # ELECTRA
            states = self.model.get_submodule("embeddings_project")(states)
        return self._run_layers(states.to(dtype=dtype), groups, slice(0, self.num_frozen)).to(dtype=dtype)

    def _run_layers(self, states: torch.Tensor, groups: Groups, part: slice) -> torch.Tensor:
        """Let the encoder's own forward run over some of its layers, from states.

        Without gradient all of it is done in the type of the states, with weights that are rounded to it once; autocast
        would round frozen ones in each product, and on a GPU widen the states again in between.
        """
        if not self.layers[part]:
            return states
        view = self._view(part)
        view._modules["embeddings"] = _Given()
        if "embeddings_project" in view._modules:  # ELECTRA
            view._modules["embeddings_project"] = nn.Identity()
        if torch.is_grad_enabled() or all(weight.dtype == states.dtype for weight in view.parameters()):
            return self._run(view, states, groups)
        with torch.autocast(states.device.type, enabled=False):
            return self._run(_in_type(view, states.dtype), states, groups)

    def _run(self, view: nn.Module, states: torch.Tensor, groups: Groups) -> torch.Tensor:
        if self.packed:
            # A tensor, since compiled layers are made anew for every other list.
            where = {"groups": torch.tensor(groups)}
            if states.device.type == "cuda" and states.dtype == torch.bfloat16:
                where["spans"] = text_spans(groups, states.device).int()
            return view(inputs_embeds=states.unsqueeze(0), **where).last_hidden_state.squeeze(0)
        texts = zip(_split(states, groups), groups, strict=True)
        runs = [view(inputs_embeds=rows.unflatten(0, group)).last_hidden_state.flatten(0, 1) for rows, group in texts]
        return torch.cat(runs)

    def _view(self, part: slice) -> nn.Module:
        """Return the encoder with some of its layers; the modules are the same, only their list is not."""
        view = _shallow_copy(self.model)
        *containers, name = self._layers_path.split(".")
        parent = view
        for container in containers:
            parent._modules[container] = _shallow_copy(parent.get_submodule(container))
            parent = parent.get_submodule(container)
        parent._modules[name] = self.layers[part]
        return view


def _projections(layer: nn.Module) -> list[nn.Module]:
    """Return the linear maps to queries and keys, by the names that they have in encoders built like BERT."""
    found = {name.rsplit(".", 1)[-1]: module for name, module in layer.named_modules()}
    for names in (("query", "key"), ("q", "k"), ("q_lin", "k_lin"), ("q_proj", "k_proj")):
        if names[0] in found and names[1] in found:
            return [found[name] for name in names]
    raise InputError(f"cannot find the attention's queries and keys in a {type(layer).__name__}")


@contextmanager
def _outputs_of(modules: Sequence[nn.Module]) -> Iterator[list[list[torch.Tensor]]]:
    """Catch what modules return, as rows of tokens, one list a module."""
    caught: list[list[torch.Tensor]] = [[] for _ in modules]
    hooks = [
        module.register_forward_hook(lambda _, __, output, rows=rows: rows.append(output.flatten(0, -2)))
        for module, rows in zip(modules, caught, strict=True)
    ]
    try:
        yield caught
    finally:
        for hook in hooks:
            hook.remove()


class _Given(nn.Module):
    """Stands in for the embeddings: hands on the states it is given."""

    def forward(self, *args: torch.Tensor | None, **kwargs: object) -> torch.Tensor:
        tensors = (value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor))
        return next(tensor for tensor in tensors if tensor.is_floating_point())


def _split(values: torch.Tensor, groups: Groups) -> tuple[torch.Tensor, ...]:
    return values.split([number * length for number, length in groups])


def _shallow_copy(module: nn.Module) -> nn.Module:
    clone = copy.copy(module)
    clone._modules, clone._parameters = dict(module._modules), dict(module._parameters)
    return clone


def _in_type(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Return a copy of a module with weights of another type; the module itself, which others may use, stays."""
    clone = _shallow_copy(module)
    for name, weight in module._parameters.items():
        if weight is not None:
            clone._parameters[name] = cast(nn.Parameter, weight.to(dtype))
    for name, child in module._modules.items():
        if child is not None:
            clone._modules[name] = _in_type(child, dtype)
    if module._compiled_call_impl is not None:  # it is bound to the module's own weights
        clone._compiled_call_impl = None
        clone.compile(dynamic=True)
    return clone


def _find_layers(model: PreTrainedModel) -> str:
    depth = model.config.num_hidden_layers
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == depth and hasattr(model, "embeddings"):
            return name
    raise InputError(f"cannot find the {depth} layers of a {type(model).__name__}; use an encoder built like BERT")
