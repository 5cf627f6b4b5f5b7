from __future__ import annotations

from pathlib import Path

import pytest

from d2midi_build.digests import sha256_data, sha256_file


def test_sha256_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert sha256_file(tmp_path / "f") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_data_has_one_digest_whatever_the_order_of_its_keys() -> None:
    assert sha256_data({"a": 1, "b": [2.5, None]}) == sha256_data({"b": [2.5, None], "a": 1})
    assert sha256_data({"a": 1}) != sha256_data({"a": 1.5})
    with pytest.raises(ValueError, match="not JSON compliant"):
        sha256_data(float("nan"))
