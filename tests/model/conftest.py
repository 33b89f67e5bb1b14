"""Fixtures of this folder."""

from tests.plm_fixtures import news, plm_folder, plm_folders  # noqa: F401
