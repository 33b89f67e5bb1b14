"""Several processes: the same result as one, one who writes, and an end for all when one dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from recbole_tinynews import InputError, NewsConfig, distributed
from recbole_tinynews import run as run_in_python
from tests.plm_fixtures import TINYNEWSREC_SETTINGS

ROOT = Path(__file__).parent.parent
ALONE = [sys.executable, str(ROOT / "run_recbole.py")]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", *ALONE[1:]]


def start(command: list[str], folder: str, *arguments: str, **settings) -> subprocess.Popen:
    """Start a run whose sums may come in another order, but in which nothing else differs: no dropout."""
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    own = {"dropout": 0.0, "use_gpu": False, "data_path": str(Path("dataset").resolve())}
    (folder / "run.yaml").write_text(yaml.safe_dump(TINYNEWSREC_SETTINGS | own | settings))
    command = [*command, "--model=TinyNewsRec", "--dataset=tiny", "--config_files=run.yaml", "--result_file=out.json"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*command, *arguments], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(run: subprocess.Popen) -> str:
    """Wait for a run that must succeed; what it printed."""
    out, err = run.communicate(timeout=300)
    assert run.returncode == 0, err
    return out


def outcome(folder: str) -> dict:
    """Everything that a run has measured."""
    report = json.loads((Path(folder) / "out.json").read_text())
    return {"test": report["test_result"], **{stage["name"]: stage["result"] for stage in report["stages"]}}


def curves(folder: str) -> dict[str, list[float]]:
    """What was logged for every step, by stage and name; there is one file that holds it."""
    curves = {}
    for file in (Path(folder) / "log_tensorboard").rglob("events*"):
        events = EventAccumulator(str(file), size_guidance={"scalars": 0})
        events.Reload()
        for name in events.Tags()["scalars"]:
            assert name not in curves, "two processes have logged"
            curves[name] = [event.value for event in events.Scalars(name)]
    return curves


def weights(folder: str) -> dict[str, torch.Tensor]:
    """Weights that all stages left; but what adds a constant to attention logits, its gradient is rounding."""
    files = sorted((Path(folder) / "saved" / "stages").rglob("weights.pt"))
    found = {file.parent.name: torch.load(file, weights_only=True) for file in files}
    named = {f"{stage} {name}": tensor for stage, state in found.items() for name, tensor in state.items()}
    return {name: tensor for name, tensor in named.items() if not name.endswith(("query.bias", "key.bias"))}


def forget_starts() -> None:
    """Let the next run compute where an encoder starts, too."""
    for file in Path("dataset/tiny/.cache").glob("start-*"):
        file.unlink()


def assert_alike(folder: str, expected: str) -> None:
    """Compare losses and weights of two runs."""
    for found, wanted in ((curves(folder), curves(expected)), (weights(folder), weights(expected))):
        assert found.keys() == wanted.keys() != set()
        for name, values in wanted.items():
            torch.testing.assert_close(
                torch.as_tensor(found[name]), torch.as_tensor(values), atol=1e-4, rtol=1e-4, msg=name
            )


def test_two_processes_give_the_losses_metrics_and_weights_of_one(news):
    finish(start(ALONE, "one", **news))
    for folder, command, arguments in (("nproc", ALONE, ["--nproc=2"]), ("torchrun", TORCHRUN, [])):
        forget_starts()
        out = finish(start(command, folder, *arguments, **news))
        assert out.count("result: ") == 1
        assert_alike(folder, "one")
        for stage, expected in outcome("one").items():
            assert outcome(folder)[stage] == pytest.approx(expected, abs=1e-4)
        assert len(list((Path(folder) / "saved").glob("*.pth"))) == 1


@pytest.mark.parametrize(
    "model", [["--model=TinyBERT"], ["--model=NewsBERT"], ["--model=PLMNR", "--pretraining=mlm"], ["--model=NAML"]]
)
def test_two_processes_share_layers_and_masks_and_end_with_the_losses_and_weights_of_one(news, model):
    settings = {**news, "epochs": 1, "mlm": {"train_batch_size": 8, "body_length": 12, "learning_rate": 0.01}}
    # A key's bias has no gradient but rounding, from which Adam makes a step; TinyBERT would copy it from its teacher.
    settings["teacher"] = {"plm_learning_rate": 0.0}
    finish(start(ALONE, "one", *model, **settings))
    forget_starts()
    finish(start(ALONE, "two", *model, "--nproc=2", **settings))
    assert_alike("two", "one")


def test_more_processes_than_news_in_a_batch_give_the_losses_and_weights_of_one(news):
    settings = {**news, "epochs": 1, "train_batch_size": 1, "num_negatives": 1, "history_length": 1}
    settings["learning_rate"] = 1e-3  # with larger steps Adam makes more than 1e-4 of rounding, on some CPUs
    finish(start(ALONE, "one", "--model=PLMNR", **settings))
    forget_starts()
    finish(start(ALONE, "four", "--model=PLMNR", "--nproc=4", **settings))
    assert_alike("four", "one")


def test_two_processes_draw_the_same_negatives_where_there_are_no_impressions(news):
    for file in Path("dataset/tiny").glob("*.imp"):
        file.unlink()
    finish(start(ALONE, "one", "--model=PLMNR", **news))
    forget_starts()
    finish(start(ALONE, "two", "--model=PLMNR", "--nproc=2", **news))
    assert_alike("two", "one")
    assert outcome("two")["test"] == pytest.approx(outcome("one")["test"], abs=1e-4)


def test_when_a_process_dies_all_end_and_the_next_run_goes_on_from_the_last_save(news):
    news = news | {"epochs": 60}
    run = start(ALONE, "two", "--nproc=2", save_seconds=0, **news)
    waiting_until = time.monotonic() + 300
    while not list(Path("two").rglob("fine_tune*/running.pt")):
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < waiting_until
        time.sleep(0.1)
    workers = subprocess.run(["pgrep", "-P", str(run.pid)], capture_output=True, text=True, check=True).stdout.split()
    victim = max(int(pid) for pid in workers)
    os.kill(victim, signal.SIGKILL)
    _, err = run.communicate(timeout=300)
    assert run.returncode == 1
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert errors[0].endswith("of 2 died (exit code -9)")
    next_run = start(ALONE, "two", "--nproc=2", **news)
    _, err = next_run.communicate(timeout=300)
    assert next_run.returncode == 0
    assert "resumed at epoch" in err


def test_a_mistake_is_told_once(news):
    run = start(ALONE, "two", "--nproc=2", **news | {"plm": "nowhere"})
    _, err = run.communicate(timeout=300)
    assert run.returncode == 1
    assert sum(line.startswith("error: ") for line in err.splitlines()) == 1
    assert "Traceback" not in err


def test_models_of_recbole_are_refused_in_several_processes(tiny):
    with pytest.raises(InputError, match="BPR trains in one process"):
        NewsConfig("BPR", "tiny", config_dict={"nproc": 2})


@pytest.fixture
def left_visible(monkeypatch):
    """Say what CUDA_VISIBLE_DEVICES was, and how many GPUs torch finds."""

    def say(variable: str | None, number: int) -> None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable or "")
        monkeypatch.setattr(distributed, "_VISIBLE_GPUS", variable)
        monkeypatch.setattr("torch.cuda.device_count", lambda: number)
        distributed.visible_gpus.cache_clear()

    yield say
    distributed.visible_gpus.cache_clear()


@pytest.mark.parametrize(
    ("local_rank", "wanted", "gpu"),
    [(0, "2,5", "2"), (1, "2,5", "5"), (1, [2, 5], "5"), (1, (2, 5), "5"), (1, None, "7"), (0, "", "")],
)
def test_each_process_takes_its_own_gpu(monkeypatch, left_visible, local_rank, wanted, gpu):
    monkeypatch.setenv("LOCAL_RANK", str(local_rank))
    left_visible("6,7", 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")  # RecBole's choice of an earlier run
    assert distributed.own_gpu(wanted) == gpu


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system binds no process to cores")
def test_cores_are_those_that_the_process_may_use():
    code = "from recbole_tinynews.distributed import cores; print(cores())"
    allowed = {min(os.sched_getaffinity(0))}
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
                          preexec_fn=lambda: os.sched_setaffinity(0, allowed))  # fmt: skip
    assert done.stdout.split() == ["1"]


def test_a_run_takes_the_first_gpu_that_the_user_left_visible(tiny, left_visible):
    left_visible("3, 5", 2)
    assert NewsConfig("BPR", "tiny")["gpu_id"] == "3"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"
    assert distributed.visible_gpus() == ("3", "5")
    distributed.show_gpus()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3, 5"


@pytest.mark.parametrize(
    ("variable", "number", "gpus"),
    [(None, 2, ("0", "1")), (None, 0, ()), ("", 0, ()), ("NoDevFiles", 0, ()), ("0,1,2", 2, ("0", "1"))],
)
def test_gpus_that_are_not_there_are_not_named(left_visible, variable, number, gpus):
    left_visible(variable, number)
    assert distributed.visible_gpus() == gpus


@pytest.mark.parametrize("local_rank", ["0", "1"])
def test_more_processes_than_gpus_are_refused_in_each_of_them(monkeypatch, local_rank):
    monkeypatch.setenv("LOCAL_RANK", local_rank)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(InputError, match="2 processes, but 1 GPUs"):
        distributed.own_gpu(3)


def test_without_a_gpu_the_number_of_processes_is_free(tiny, monkeypatch):
    for name, value in {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(distributed, "_VISIBLE_GPUS", "0")
    config = NewsConfig("TinyNewsRec", "tiny", config_dict=TINYNEWSREC_SETTINGS | {"use_gpu": False})
    assert config["device"].type == "cpu"


def test_a_program_is_told_that_nproc_is_not_for_it(tiny):
    with pytest.raises(InputError, match="torchrun"):
        run_in_python("TinyNewsRec", "tiny", config_dict=TINYNEWSREC_SETTINGS | {"nproc": 2, "use_gpu": False})
