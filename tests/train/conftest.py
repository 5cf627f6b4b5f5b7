"""Networks of tests are small: two test processes that each take all cores are several times slower than on one."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Compute on one core."""
    torch.set_num_threads(1)
