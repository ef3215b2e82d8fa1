"""A fingerprint is the same for the same model wherever it lies, and another for another."""

import hashlib
import shutil
from pathlib import Path

import pytest

from glasschat import __version__
from glasschat.backends import LocalBackend, Provenance
from glasschat.backends.provenance import BLOCK_BYTES, BLOCKS, HEAD_BYTES, fingerprint, provenance
from glasschat.models.scripted import TEMPLATE, scripted_model

MIB = 2**20


def model_of(path: Path, size: int, seed: int = 1) -> Path:
    """A file that looks like no other at any place."""
    pattern = hashlib.shake_256(bytes([seed])).digest(MIB + 7)
    path.write_bytes((pattern * (size // len(pattern) + 1))[:size])
    return path


def changed(path: Path, at: int) -> Path:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    copy = path.with_name("changed.gguf")
    copy.write_bytes(data)
    return copy


def test_name_place_and_date_do_not_matter(tmp_path: Path) -> None:
    model = model_of(tmp_path / "a.gguf", 3 * MIB)
    (tmp_path / "elsewhere").mkdir()
    copy = shutil.copyfile(model, tmp_path / "elsewhere" / "b.gguf")
    assert fingerprint(copy) == fingerprint(model)
    assert fingerprint(model).startswith("sampled-sha256:")


@pytest.mark.parametrize("at", [0, HEAD_BYTES - 1, -1, -BLOCK_BYTES])
def test_a_change_at_either_end_shows(tmp_path: Path, at: int) -> None:
    model = model_of(tmp_path / "a.gguf", 5 * MIB)
    assert fingerprint(changed(model, at)) != fingerprint(model)


def test_a_small_file_is_read_whole(tmp_path: Path) -> None:
    model = model_of(tmp_path / "a.gguf", HEAD_BYTES + BLOCKS * BLOCK_BYTES)
    for at in range(0, model.stat().st_size, 100_003):
        assert fingerprint(changed(model, at)) != fingerprint(model)


def test_no_stretch_of_a_large_file_is_left_out(tmp_path: Path) -> None:
    """Another tensor, or the same in another quantisation, is longer than the space between."""
    model = model_of(tmp_path / "a.gguf", 20 * MIB)
    between = 19 * MIB // BLOCKS
    for start in range(0, 20 * MIB - between, 3 * MIB):
        data = bytearray(model.read_bytes())
        data[start : start + between] = bytes(between)
        other = tmp_path / "b.gguf"
        other.write_bytes(data)
        assert fingerprint(other) != fingerprint(model)


def test_a_longer_file_with_the_same_samples_is_another(tmp_path: Path) -> None:
    zeros = [tmp_path / "a.gguf", tmp_path / "b.gguf"]
    for number, path in enumerate(zeros):
        path.write_bytes(bytes(4 * MIB + number))
    assert fingerprint(zeros[0]) != fingerprint(zeros[1])


def test_every_file_of_a_split_model_counts(tmp_path: Path) -> None:
    parts = [model_of(tmp_path / f"m-0000{n}-of-00002.gguf", MIB, n) for n in (1, 2)]
    before = fingerprint(parts[0])
    model_of(parts[1], MIB, 3)
    assert fingerprint(parts[0]) != before


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("config.json", True),
        ("tokenizer.json", True),
        ("model-00002-of-00002.safetensors", True),
        ("README.md", False),
        ("training_args.bin", False),
    ],
)
def test_of_a_folder_counts_what_makes_its_replies(tmp_path: Path, file: str, counts: bool) -> None:
    for number in (1, 2):
        model_of(tmp_path / f"model-0000{number}-of-00002.safetensors", MIB, number)
    for name in ("config.json", "tokenizer.json", "README.md", "training_args.bin"):
        (tmp_path / name).write_text("{}")
    before = fingerprint(tmp_path)
    (tmp_path / file).write_text("{ }")
    assert (fingerprint(tmp_path) != before) == counts


def test_a_gguf_names_what_computes_it(builtin_model_path: Path) -> None:
    from importlib.metadata import version

    found = provenance(builtin_model_path, "{{ x }}")
    assert found.template_fingerprint == f"sha256:{hashlib.sha256(b'{{ x }}').hexdigest()}"
    assert found.versions == {
        "glasschat": __version__,
        "llama-cpp-python": version("llama-cpp-python"),
    }
    assert provenance(builtin_model_path, None).template_fingerprint == ""


def test_a_folder_names_what_computes_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert sorted(provenance(tmp_path, None).versions) == ["glasschat", "torch", "transformers"]


def test_what_cannot_be_known_is_empty(tmp_path: Path) -> None:
    """A model must not fail to load for it."""
    assert provenance(tmp_path / "none", None) == Provenance(versions={"glasschat": __version__})
    first = model_of(tmp_path / "m-00001-of-00002.gguf", 100)
    assert provenance(first, None).model_fingerprint == ""


def test_a_backend_tells_it_as_soon_as_it_is_ready() -> None:
    backend = LocalBackend(lambda _progress: scripted_model("Hi!"), name="a model")
    assert backend.describe().provenance == Provenance()
    with backend:
        backend.load()
        told = backend.describe().provenance
        digest = hashlib.sha256(TEMPLATE.encode()).hexdigest()
        assert told == Provenance("", f"sha256:{digest}", {"glasschat": __version__})
