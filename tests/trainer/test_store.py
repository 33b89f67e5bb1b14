"""Stages on disk: run once, found again, never taken for finished when they are not."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from recbole_tinynews.errors import InputError
from recbole_tinynews.trainer.store import Stage, StageStore, checksum

WEIGHTS = {"w": torch.arange(6.0).view(2, 3), "b": torch.tensor(1.5)}
RESULT = {"auc": 0.625}


class Work:
    """Stands for training; counts how often it is done."""

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale
        self.calls = 0
        self.starts: list = []

    def __call__(self, folder, starts):
        self.calls += 1
        self.starts = starts
        return {name: tensor * self.scale for name, tensor in WEIGHTS.items()}, RESULT


def make(work=None, name="post_train", inputs=None, starts=()) -> Stage:
    return Stage(name, name, "to test", inputs or {"lr": 0.1, "deep": {"a": [1, 2]}}, work or Work(), starts)


def test_a_finished_stage_is_not_repeated_by_another_run(tmp_path):
    work, second = Work(), Work()
    first = StageStore(tmp_path).run(make(work))
    again = StageStore(tmp_path).run(make(second))
    assert (work.calls, second.calls) == (1, 0)
    assert again.weights.keys() == WEIGHTS.keys()
    assert all(torch.equal(again.weights[name], tensor) for name, tensor in WEIGHTS.items())
    assert again[1:] == first[1:]
    assert again.result == RESULT


@pytest.mark.parametrize(
    "inputs", [{"lr": 0.2, "deep": {"a": [1, 2]}}, {"lr": 0.1, "deep": {"a": [2, 1]}}, {"lr": 0.1}, {"lr": None}]
)
def test_other_inputs_are_another_stage(tmp_path, inputs):
    store, work = StageStore(tmp_path), Work()
    store.run(make())
    store.run(make(work, inputs=inputs))
    assert work.calls == 1
    assert len(list(tmp_path.glob("post_train-*"))) == 2


def test_the_order_in_which_inputs_are_named_does_not_matter():
    assert make(inputs={"a": 1, "b": {"c": 2, "d": 3}}).key == make(inputs={"b": {"d": 3, "c": 2}, "a": 1}).key


def test_a_stage_that_starts_from_another_result_is_another_stage():
    def chain(lr, names=("post_train", "stage1", "stage2")):
        stage = make(name=names[0], inputs={"lr": lr})
        for name in names[1:]:
            stage = make(name=name, starts=[stage])
        return stage

    assert chain(0.1).key == chain(0.1).key
    assert chain(0.1).key != chain(0.2).key
    one, two = make(inputs={"lr": 1}), make(inputs={"lr": 2})
    assert make(starts=[one, two]).key != make(starts=[two, one]).key != make(starts=[one]).key


def test_a_stage_gets_the_weights_of_those_it_starts_from_in_order(tmp_path):
    store, work = StageStore(tmp_path), Work()
    starts = [make(Work(scale), name=f"teacher_{scale}") for scale in (2.0, 3.0)]
    for start in starts:
        store.run(start)
    store.run(make(work, starts=starts))
    assert [weights["b"].item() for weights in work.starts] == [3.0, 4.5]


def test_a_stage_that_stopped_half_way_is_not_finished_and_finds_its_folder_again(tmp_path, caplog):
    caplog.set_level("INFO")
    store = StageStore(tmp_path)

    def stop(folder, starts):
        (folder / "running.pt").write_bytes(b"state")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.run(make(stop))
    assert caplog.messages[-1].endswith("stopped; the same command goes on from the last save")
    assert not store.is_done(make())

    def resume(folder, starts):
        assert (folder / "running.pt").read_bytes() == b"state"
        return WEIGHTS, RESULT

    store.run(make(resume))
    assert store.is_done(make())
    assert not (store.folder(make()) / "running.pt").exists()


def test_a_stage_that_stopped_before_the_first_save_says_that_it_starts_anew(tmp_path, caplog):
    caplog.set_level("INFO")

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        StageStore(tmp_path).run(make(stop))
    assert caplog.messages[-1].endswith("stopped; the same command starts it anew: nothing was saved yet")


@pytest.mark.parametrize("damage", [b"", b"half", None])
def test_damaged_weights_are_named_with_a_way_out(tmp_path, damage):
    store = StageStore(tmp_path)
    store.run(make(Work()))
    file = store.folder(make()) / "weights.pt"
    file.write_bytes(file.read_bytes()[:-200] if damage is None else damage)
    work = Work()
    with pytest.raises(InputError, match=r"weights\.pt: cannot be read; delete it"):
        store.run(make(work))
    file.unlink()
    store.run(make(work))
    assert work.calls == 1


@pytest.mark.parametrize("left", [{"weights.pt"}, {"weights.pt", "stage.part"}, {"weights.part"}])
def test_files_of_a_run_that_was_killed_while_it_saved_are_not_a_finished_stage(tmp_path, left):
    store, work = StageStore(tmp_path), Work()
    folder = store.folder(make())
    folder.mkdir(parents=True)
    for name in left:
        (folder / name).write_bytes(b"half")
    assert not store.is_done(make())
    store.run(make(work))
    assert work.calls == 1
    assert torch.equal(store.load(make()).weights["w"], WEIGHTS["w"])
    assert {path.name for path in folder.iterdir()} <= {"weights.pt", "stage.json"} | left


def test_weights_are_written_before_the_report_that_makes_them_count(tmp_path, monkeypatch):
    store = StageStore(tmp_path)
    monkeypatch.setattr("recbole_tinynews.trainer.store.save_atomically", lambda *_: (_ for _ in ()).throw(OSError))
    with pytest.raises(OSError):  # noqa: PT011
        store.run(make())
    assert not store.is_done(make())


def test_what_is_left_on_disk_are_tensors_and_plain_values(tmp_path):
    store = StageStore(tmp_path)
    store.run(make())
    folder = store.folder(make())
    assert torch.load(folder / "weights.pt", weights_only=True).keys() == WEIGHTS.keys()
    report = json.loads((folder / "stage.json").read_text())
    assert (report["kind"], report["result"], report["inputs"]) == ("post_train", RESULT, dict(make().inputs))
    assert report["seconds"] >= 0


def test_the_checksum_is_that_of_names_shapes_types_and_values():
    different = [
        WEIGHTS,
        WEIGHTS | {"b": torch.tensor(1.25)},
        WEIGHTS | {"w": WEIGHTS["w"].view(3, 2)},
        WEIGHTS | {"w": WEIGHTS["w"].double()},
        {"v": WEIGHTS["w"], "b": WEIGHTS["b"]},
        {"w": WEIGHTS["w"]},
    ]
    assert len({checksum(weights) for weights in different}) == len(different)
    assert checksum(dict(reversed(WEIGHTS.items()))) == checksum(WEIGHTS)
    assert checksum({"w": WEIGHTS["w"].T.contiguous().T, "b": WEIGHTS["b"]}) == checksum(WEIGHTS)


def test_what_a_stage_starts_from_is_logged_with_its_checksum(tmp_path, caplog):
    store = StageStore(tmp_path)
    start = make()
    with caplog.at_level("INFO"):
        store.run(start)
        store.run(make(name="stage1", starts=[start]))
    assert f"stage1: starts from post_train, weights {checksum(WEIGHTS)}" in caplog.text


def test_a_stage_that_another_run_trains_is_waited_for_and_not_trained_again(tmp_path, caplog):
    caplog.set_level("INFO")
    begun, may_end = threading.Event(), threading.Event()

    def slow(folder, starts):
        begun.set()
        may_end.wait(20)
        return WEIGHTS, RESULT

    second = Work()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(StageStore(tmp_path).run, make(slow))
        begun.wait(20)
        other = pool.submit(StageStore(tmp_path).run, make(second))
        latest = time.monotonic() + 20
        while "waiting for another run" not in caplog.text and time.monotonic() < latest:
            time.sleep(0.01)
        may_end.set()
        assert "waiting for another run" in caplog.text
        assert other.result().result == first.result().result == RESULT
    assert second.calls == 0
