"""Fixtures that several folders of tests use."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from tests.plm_fixtures import news, plm_folder, plm_folders  # noqa: F401
from tests.tiny_dataset import write_dataset

settings.register_profile("repeatable", derandomize=True)  # what passes once passes again
settings.load_profile("repeatable")


@pytest.fixture
def tiny(tmp_path, monkeypatch) -> Path:
    """An empty working folder with a made-up dataset ``dataset/tiny`` in it."""
    monkeypatch.chdir(tmp_path)
    return write_dataset(tmp_path / "dataset")
