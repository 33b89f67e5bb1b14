"""The loop, with a toy in place of a model."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from recbole_tinynews import InputError
from recbole_tinynews.trainer import loop
from recbole_tinynews.trainer.loop import LoopSettings, Task, save_atomically, train

STEPS, EPOCHS = 4, 3
SETTINGS = {"epochs": EPOCHS, "learning_rate": 0.1, "plm_learning_rate": 0.01, "show_progress": False}


class Student(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.plm = nn.Linear(3, 3)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(3, 1)
        self.head.bias.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.dropout(torch.tanh(self.plm(x))))


class Toy(Task):
    """Learn what a teacher says; a weight of its own stands for a loss's parameters."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.student = Student()
        self.scale = nn.Parameter(torch.ones(()))
        self.teachers = (nn.Linear(3, 1),)

    def forward(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        error = (self.student(batch) * self.scale - self.teachers[0](batch)).square()
        return {"loss": error.mean() + self.scale.square(), "error": error.mean(), "errors": error}


class Batches:
    """Other numbers in every epoch, the same for the same epoch."""

    def __len__(self) -> int:
        return STEPS

    def epoch(self, number: int):
        generator = torch.Generator().manual_seed(number)
        for _ in range(STEPS):
            yield torch.randn(5, 3, generator=generator)


class Interrupted(Exception):
    pass


def probe(task: Toy) -> dict[str, float]:
    """A measurement of the student, best in the middle for some seeds."""
    return {"auc": -abs(float(task.student.plm.weight.detach().sum()) - 0.3)}


def learn(folder, seed=0, interrupt_at=None, validate=probe, **settings):
    """Train a toy; with interrupt_at, only until that step is done."""
    task, steps = Toy(seed), []

    def on_step(step, values):
        steps.append((step, values))
        if step == interrupt_at:
            raise Interrupted

    result = train(
        task, Batches(), LoopSettings(**(SETTINGS | settings)), folder, validate and (lambda: validate(task)), on_step
    )
    return result, task, steps


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def folder_in(path, name):
    (path / name).mkdir()
    return path / name


@pytest.mark.parametrize("save_seconds", [0, 3600])
@pytest.mark.parametrize("step", range(STEPS * EPOCHS))
def test_training_interrupted_at_any_step_ends_as_if_it_had_not_been(tmp_path, step, save_seconds):
    expected, whole, _ = learn(folder_in(tmp_path, "whole"))
    folder = folder_in(tmp_path, "parts")
    with pytest.raises(Interrupted):
        learn(folder, interrupt_at=step, save_seconds=save_seconds)
    torch.manual_seed(99)  # another process
    result, resumed, steps = learn(folder, save_seconds=save_seconds)
    assert result == expected
    assert same(resumed.student.state_dict(), whole.student.state_dict())
    assert torch.equal(resumed.scale, whole.scale)
    done_before = step + 1 if save_seconds == 0 else step // STEPS * STEPS
    assert [number for number, _ in steps] == list(range(done_before, STEPS * EPOCHS))


def test_training_interrupted_again_and_again_ends_as_if_it_had_not_been(tmp_path):
    expected, whole, _ = learn(folder_in(tmp_path, "whole"))
    folder = folder_in(tmp_path, "parts")
    for step in (1, 2, 5, 7, 10):
        with pytest.raises(Interrupted):
            learn(folder, interrupt_at=step, save_seconds=0)
    result, resumed, _ = learn(folder)
    assert result == expected
    assert same(resumed.student.state_dict(), whole.student.state_dict())


def test_an_interrupted_validation_is_repeated_and_the_epoch_before_it_is_not(tmp_path):
    expected, whole, _ = learn(folder_in(tmp_path, "whole"))
    folder = folder_in(tmp_path, "parts")
    calls = []

    def stop_in_the_second(task):
        calls.append(1)
        if len(calls) == 2:
            raise Interrupted
        return probe(task)

    with pytest.raises(Interrupted):
        learn(folder, validate=stop_in_the_second, save_seconds=0)
    result, resumed, steps = learn(folder)
    assert steps[0][0] == 2 * STEPS
    assert result == expected
    assert same(resumed.student.state_dict(), whole.student.state_dict())


def test_without_validation_an_interrupted_epoch_still_reports_its_whole_mean(tmp_path):
    expected, _, steps = learn(folder_in(tmp_path, "whole"), validate=None)
    folder = folder_in(tmp_path, "parts")
    with pytest.raises(Interrupted):
        learn(folder, validate=None, interrupt_at=STEPS * EPOCHS - 2, save_seconds=0)
    assert learn(folder, validate=None)[0] == expected
    last = [values for _, values in steps[-STEPS:]]
    assert expected == {name: pytest.approx(sum(v[name] for v in last) / STEPS) for name in ("loss", "error")}


def test_a_finished_training_is_not_trained_again(tmp_path):
    first, task, _ = learn(tmp_path)
    again, restored, steps = learn(tmp_path)
    assert steps == []
    assert again == first
    assert same(restored.student.state_dict(), task.student.state_dict())


def test_two_runs_with_the_same_seed_are_identical_and_another_seed_is_not(tmp_path):
    runs = [learn(folder_in(tmp_path, str(i)), seed=seed) for i, seed in enumerate((0, 0, 1))]
    assert runs[0][0] == runs[1][0]
    assert runs[0][2] == runs[1][2]
    assert same(runs[0][1].student.state_dict(), runs[1][1].student.state_dict())
    assert not same(runs[0][1].student.state_dict(), runs[2][1].student.state_dict())


@pytest.mark.parametrize(("scores", "best"), [((0.4, 0.9, 0.6), 1), ((0.9, 0.4, 0.6), 0), ((0.1, 0.2, 0.2), 1)])
def test_the_weights_of_the_best_epoch_are_kept_the_first_of_equals(tmp_path, scores, best):
    seen = []

    def validate(task):
        seen.append({name: tensor.clone() for name, tensor in task.student.state_dict().items()})
        return {"auc": scores[len(seen) - 1], "mrr": float(len(seen))}

    result, task, _ = learn(tmp_path, validate=validate)
    assert result == {"auc": scores[best], "mrr": best + 1.0}
    assert same(task.student.state_dict(), seen[best])


def test_the_valid_metric_decides(tmp_path):
    values = iter([{"auc": 0.9, "mrr": 0.1}, {"auc": 0.8, "mrr": 0.3}, {"auc": 0.7, "mrr": 0.2}])
    result, _, _ = learn(tmp_path, validate=lambda task: next(values), valid_metric="mrr")
    assert result["mrr"] == 0.3


def test_without_a_validation_the_last_weights_are_kept(tmp_path):
    for name, validate in (("none", None), ("nothing", lambda task: None)):
        _, task, _ = learn(folder_in(tmp_path, name), validate=validate)
        running = torch.load(tmp_path / name / "running.pt", weights_only=True)
        assert same(task.student.state_dict(), running["best_weights"])
        last = {key.removeprefix("student."): t for key, t in running["task"].items() if key.startswith("student.")}
        assert same(task.student.state_dict(), last)


def test_steps_are_those_of_adam_with_amsgrad_and_two_learning_rates(tmp_path):
    _, task, _ = learn(tmp_path, validate=None)
    reference = Toy()
    adam = torch.optim.Adam(
        [
            {"params": list(reference.student.plm.parameters()), "lr": 0.01},
            {"params": [reference.scale, reference.student.head.weight], "lr": 0.1},
        ],
        amsgrad=True,
        fused=False,
    )
    for epoch in range(EPOCHS):
        for batch in Batches().epoch(epoch):
            adam.zero_grad()
            reference(batch)["loss"].backward()
            adam.step()
    for name, tensor in reference.state_dict().items():
        torch.testing.assert_close(task.state_dict()[name], tensor, rtol=0, atol=1e-6)


def test_what_needs_no_gradient_and_teachers_stay_as_they_were(tmp_path):
    _, task, _ = learn(tmp_path)
    fresh = Toy()
    assert torch.equal(task.student.head.bias, fresh.student.head.bias)
    assert same(task.teachers[0].state_dict(), fresh.teachers[0].state_dict())
    running = torch.load(tmp_path / "running.pt", weights_only=True)
    assert set(running["task"]) == {"scale", *(f"student.{name}" for name in fresh.student.state_dict())}


def test_dropout_is_on_in_every_epoch_even_after_a_validation_switched_it_off(tmp_path):
    modes = []

    class Watched(Toy):
        def forward(self, batch):
            modes.append(self.student.dropout.training)
            return super().forward(batch)

    task = Watched()
    task.eval()
    train(task, Batches(), LoopSettings(**SETTINGS), tmp_path, lambda: task.eval() and {"auc": 0.0})
    assert modes == [True] * STEPS * EPOCHS


@pytest.mark.parametrize("step", [0, 5])
def test_a_loss_that_is_not_a_number_stops_training_and_is_not_saved(tmp_path, step):
    class Poisoned(Batches):
        def epoch(self, number):
            for place, batch in enumerate(super().epoch(number)):
                yield batch * math.nan if number * STEPS + place == step else batch

    task = Toy()
    with pytest.raises(InputError, match=f"not a number in epoch {step // STEPS + 1}, step {step % STEPS + 1}"):
        train(task, Poisoned(), LoopSettings(**SETTINGS, save_seconds=0), tmp_path)
    if (tmp_path / "running.pt").exists():
        running = torch.load(tmp_path / "running.pt", weights_only=True)
        assert all(tensor.isfinite().all() for tensor in running["task"].values())


def test_only_numbers_are_reported(tmp_path):
    _, _, steps = learn(tmp_path)
    assert all(values.keys() == {"loss", "error"} for _, values in steps)
    assert all(isinstance(value, float) for _, values in steps for value in values.values())


def test_a_save_that_fails_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "state.pt"
    save_atomically({"a": torch.ones(1)}, path)

    def half(state, target):
        target.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(loop.torch, "save", half)
    with pytest.raises(OSError, match="disk full"):
        save_atomically({"a": torch.zeros(1)}, path)
    assert torch.load(path, weights_only=True) == {"a": torch.ones(1)}


def test_settings_of_a_stage_that_are_not_the_loops_are_left_out():
    settings = LoopSettings.of(SETTINGS | {"temperature": 2.0, "save_seconds": 7})
    assert (settings.epochs, settings.save_seconds, settings.valid_metric) == (EPOCHS, 7, "auc")
