"""Runs that die and continue, damaged checkpoints, and full disks."""

import errno
import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest
import torch

from relaxit_vae import VAE, InputError, checkpoints, evaluate, files, train
from relaxit_vae.checkpoints import AtomicCheckpointIO
from relaxit_vae.runs import CHECKPOINT

OPTIONS = ["--epochs", "4", "--hidden", "32", "--batch-size", "20", "--binarize", "dynamic"]
ANNEALED = ["--temperature", "1", "--final-temperature", "0.3"]


def command(*arguments):
    return [sys.executable, "-m", "relaxit_vae", *map(str, arguments)]


def state(folder):
    return torch.load(folder / CHECKPOINT, weights_only=True)


def assert_same(first, second):
    for name, value in first["state_dict"].items():
        assert torch.equal(value, second["state_dict"][name]), name
    assert first["temperature"] == second["temperature"]
    moments = [found["optimizer_states"][0]["state"] for found in (first, second)]
    for index, buffers in moments[0].items():
        for name, value in buffers.items():
            assert torch.equal(value, moments[1][index][name]), name


def test_a_run_that_is_killed_three_times_ends_as_if_it_had_not_been(tmp_path):
    """It is killed at random moments. Each resumption repeats at most the epoch that was begun."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    arguments = ["train", *OPTIONS, *ANNEALED, "--quiet", "--importance-samples", 1]
    subprocess.run(command(*arguments, "--output", whole), check=True)
    moments = random.Random(0)
    for epoch in (1, 2, 3):
        resume = ["--resume"] if epoch > 1 else []
        process = subprocess.Popen(command(*arguments, "--output", killed, *resume))
        log = killed / "run.log"
        while not log.exists() or f"epoch {epoch} starts" not in log.read_text():
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(moments.uniform(0.05, 0.6))
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command("train", "--output", killed, "--resume", "--quiet"), check=True)
    assert_same(state(whole), state(killed))
    assert metrics(whole) == metrics(killed)
    starts = re.findall(r"epoch (\d) starts", log.read_text())
    assert set(starts) == set("1234")
    assert 4 < len(starts) <= 4 + 3  # a kill hit an epoch, and none cost more than that epoch


def metrics(folder):
    lines = (folder / "metrics.csv").read_text().splitlines()
    return [line.rpartition(",")[0] for line in lines]  # all but the seconds


def test_a_run_without_a_checkpoint_begins_anew(config):
    run = train(config(), quiet=True, importance_samples=1)
    expected = state(run.folder)
    run.checkpoint.unlink()
    train(config(), resume=True, quiet=True, importance_samples=1)
    assert_same(expected, state(run.folder))


def test_a_finished_run_is_left_as_it_is(config):
    run = train(config(), quiet=True, importance_samples=1)
    expected = state(run.folder)
    again = train(config(), resume=True, quiet=True, importance_samples=1)
    assert again.evaluation == run.evaluation
    assert_same(expected, state(run.folder))


def test_a_run_continues_with_its_own_options_only(config, tmp_path):
    with pytest.raises(InputError, match="--resume must find a run in --output"):
        train(config(), resume=True, quiet=True)
    assert not (tmp_path / "run").exists()
    train(config(), quiet=True, importance_samples=1)
    with pytest.raises(InputError, match=r"--learning-rate must be 0\.001, as when"):
        train(config(learning_rate=0.1), resume=True, quiet=True)


@pytest.fixture
def snapshot(tmp_path):
    """All files of a folder with their bytes and times."""

    def look(folder):
        return {
            path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
            for path in sorted(folder.rglob("*"))
        }

    return look


def truncated(content):
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    "damage",
    [truncated, lambda content: b"", lambda content: b"<html>", None],
    ids=["truncated", "empty", "a web page", "of another program"],
)
def test_a_damaged_checkpoint_leaves_the_folder_untouched(config, snapshot, damage):
    run = train(config(), quiet=True, importance_samples=1)
    if damage:
        run.checkpoint.write_bytes(damage(run.checkpoint.read_bytes()))
    else:
        torch.save({"state_dict": {}}, run.checkpoint)
    before = snapshot(run.folder)
    for action in (
        lambda: train(config(), resume=True, quiet=True),
        lambda: evaluate(run.checkpoint),
    ):
        with pytest.raises(InputError, match=r"last\.ckpt is something else or damaged"):
            action()
    assert snapshot(run.folder) == before


def test_the_checkpoint_of_another_run_is_refused(config, tmp_path, snapshot):
    run = train(config(), quiet=True, importance_samples=1)
    other = train(config(seed=1, output=tmp_path / "other"), quiet=True, importance_samples=1)
    run.checkpoint.write_bytes(other.checkpoint.read_bytes())
    before = snapshot(run.folder)
    with pytest.raises(InputError, match="run's own checkpoint"):
        train(config(), resume=True, quiet=True)
    assert snapshot(run.folder) == before


def test_a_checkpoint_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"a": 1}, path)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: .*last\.ckpt"):
        AtomicCheckpointIO().save_checkpoint({"a": 2}, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_it_is_on_the_disk_before_it_is_in_place(tmp_path, monkeypatch):
    events = []

    def noted(name, function):
        def call(*arguments):
            events.append(name)
            return function(*arguments)

        return call

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, noted(name, getattr(os, name)))
    AtomicCheckpointIO().save_checkpoint({"a": 1}, tmp_path / "last.ckpt")
    assert events == ["fsync", "replace", "fsync"]  # the file, its name, the folder


def test_a_full_disk_stops_the_run_and_leaves_the_last_checkpoint(config, monkeypatch):
    written, write = [], files.write_bytes

    def sometimes_full(path, content):
        written.append(path)
        if len(written) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write(path, content)

    monkeypatch.setattr(checkpoints, "write_bytes", sometimes_full)
    with pytest.raises(OSError, match="No space left on device"):
        train(config(epochs=3), quiet=True)
    saved = state(config().folder)
    assert saved["epoch"] == 0
    assert VAE.load(config().folder / CHECKPOINT).config.epochs == 3
    monkeypatch.undo()
    run = train(config(epochs=3), resume=True, quiet=True, importance_samples=1)
    assert state(run.folder)["epoch"] == 2
