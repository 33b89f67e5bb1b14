"""Package of recbole_tinynews. constraints.txt holds the versions that were tried, here stand the ranges."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "recbole_tinynews/__init__.py").read_text(encoding="utf-8"))[1]
README = HERE / "README.md"

# RecBole asks for ray <= 2.6.3, which has no wheel for Python 3.12 and later, and needs it only for its own tuning.
# There it is installed with --no-deps (make install does), and these are what it imports.
RECBOLE_IMPORTS = ["colorlog", "colorama", "psutil", "tabulate", "tensorboard", "texttable"]
TUNE = ["optuna>=4", "plotly>=5"]

setup(
    name="recbole-tinynews",
    version=VERSION,
    description="Tiny-NewsRec for RecBole: PLM-based news recommendation and its distillation",
    long_description=README.read_text(encoding="utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.10",
    packages=[*find_packages(include=["recbole_tinynews", "recbole_tinynews.*"]), "recbole_tinynews.properties"],
    package_dir={"recbole_tinynews.properties": "properties"},
    package_data={"recbole_tinynews.properties": ["*.yaml", "*/*.yaml", "*/*.hyper"]},
    install_requires=[
        "recbole==1.2.1; python_version < '3.12'",
        *(f"{name}; python_version >= '3.12'" for name in RECBOLE_IMPORTS),
        "markdown>=3.6",
        "matplotlib>=3.8",
        "filelock>=3.12",
        "numpy>=1.26,<3",
        "pandas>=2.2,<3",  # RecBole's fillna(inplace=True) does nothing in pandas 3
        "pyarrow>=16",
        "python-dateutil>=2.8",
        "pyyaml>=6",
        "scikit-learn>=1.5",
        "scipy>=1.15",
        "tabulate>=0.9",
        "torch>=2.6,<3",
        "tqdm>=4.66",
        "transformers>=5,<6",
    ],
    extras_require={"tune": TUNE, "dev": [*TUNE, "hypothesis", "mypy", "pytest", "ruff"]},
    classifiers=[
        "License :: OSI Approved :: MIT License",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
    ],
)
