"""A model in several files is one model: counted whole, named by its first file, all there."""

import shutil
from pathlib import Path

import gguf
import pytest

from glasschat.cli import main
from glasschat.config import ModelOptions
from glasschat.errors import InvalidModel, NotEnoughMemory
from glasschat.models.gguf.files import display_name, read_model
from glasschat.models.gguf.header import read_header
from glasschat.models.load import load_model, plan_model
from glasschat.models.memory import memory_need

TENSORS_IN_A_FILE = 5
FILES = 3


@pytest.fixture(scope="module")
def whole_split(tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny model in three files."""
    folder = tmp_path_factory.mktemp("split")
    reader = gguf.GGUFReader(tiny_gguf)
    writer = gguf.GGUFWriter(
        folder / "Small-Q4_K_M.gguf",
        reader.fields["general.architecture"].contents(),
        split_max_tensors=TENSORS_IN_A_FILE,
    )
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            inner = field.types[1] if field.types[0] is gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), field.types[0], inner)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert len(list(folder.iterdir())) == FILES
    return folder


@pytest.fixture
def split(whole_split: Path, tmp_path: Path) -> Path:
    """The same in a folder of one's own, to take files away from."""
    for path in whole_split.iterdir():
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


def part(folder: Path, number: int) -> Path:
    return folder / f"Small-Q4_K_M-{number:05}-of-{FILES:05}.gguf"


def test_all_files_are_counted(split: Path, tiny_gguf: Path) -> None:
    sizes = [path.stat().st_size for path in split.iterdir()]
    info = plan_model(ModelOptions(path=part(split, 1))).info
    header = read_header(tiny_gguf)
    assert info.file_bytes == sum(sizes)
    assert info.parameters == header.parameters
    assert info.name == "Small"
    assert read_model(part(split, 1)).tensor_bytes == header.tensor_bytes


def test_memory_must_do_for_all_files(split: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need = memory_need(read_header(part(split, 1)), 512, 1, 0)
    enough = need.total - need.weights + sum(path.stat().st_size for path in split.iterdir())
    options = ModelOptions(path=part(split, 1), context=512, slots=1)
    monkeypatch.setattr("glasschat.models.llama_cpp.load.available_bytes", lambda: enough)
    assert plan_model(options).context == 512
    monkeypatch.setattr("glasschat.models.llama_cpp.load.available_bytes", lambda: enough - 1)
    with pytest.raises(NotEnoughMemory):
        plan_model(options)


def test_llama_cpp_loads_what_was_planned(split: Path) -> None:
    model = load_model(plan_model(ModelOptions(path=part(split, 1), context=512, slots=1)))
    try:
        assert model.runner.vocab_size == model.info.vocab_size
    finally:
        model.runner.close()


def test_another_file_than_the_first_is_refused_and_the_first_is_named(split: Path) -> None:
    with pytest.raises(InvalidModel, match=r"file 2 of 3.*name the first, Small-Q4_K_M-00001-of"):
        read_model(part(split, 2))


def test_a_file_that_is_missing_is_named(split: Path, capsys: pytest.CaptureFixture[str]) -> None:
    part(split, 3).unlink()
    with pytest.raises(InvalidModel, match=r"^Small-Q4_K_M-00003-of-00003.gguf is missing"):
        read_model(part(split, 1))
    assert main(["prompt", "--model", str(part(split, 1)), "Hi"]) == 2
    assert "00003-of-00003.gguf is missing" in capsys.readouterr().err


def test_a_file_that_is_cut_off_is_named(split: Path) -> None:
    target = part(split, 2)
    data = target.read_bytes()
    target.unlink()
    target.write_bytes(data[:-1000])
    with pytest.raises(InvalidModel, match=r"00002-of-00003.gguf is cut off"):
        read_model(part(split, 1))


@pytest.mark.parametrize("name", ["model.gguf", "Small-00001-of-00004.gguf"])
def test_a_file_that_lost_its_name_is_refused_with_the_way_out(split: Path, name: str) -> None:
    shutil.copyfile(part(split, 1), split / name)
    with pytest.raises(InvalidModel, match=r"-00001-of-00003.gguf.*llama-gguf-split --merge"):
        read_model(split / name)


def test_the_name_of_a_model_is_that_of_no_part() -> None:
    assert display_name(Path("Qwen-72B-Q4_K_M-00001-of-00003.gguf")) == "Qwen-72B"
