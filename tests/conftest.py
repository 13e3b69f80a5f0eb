"""What the tests share."""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real trained models and photographs that are not part of the project."""
    folder = Path(os.environ.get("TFVIZ_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "cifar10_subset.npz").exists():
        pytest.skip(f"real models and photographs are not here ({folder}); set TFVIZ_TEST_DATA")
    return folder
