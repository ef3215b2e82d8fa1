"""Choice of the files of a hub repository that make a model."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from glasschat.errors import InvalidModel, ModelNotFound
from glasschat.messages import Message

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
# Nothing else is fetched: no pickles, no code, no copies in other formats or in subfolders.
CONFIG_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "chat_template.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.json",
    "tokenizer.model",
    "tekken.json",
    "vocab.json",
    "merges.txt",
)
# Those without which a model may be another than it is; whether they exist has to be known.
DECISIVE = ("generation_config.json", "tokenizer_config.json", "chat_template.jinja")
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "tekken.json", "vocab.json")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_PART = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf")
_SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
_MOST_PARTS = 1000
_MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file as the hub lists it. `sha256` is empty for small ones, which are kept in git."""

    name: str
    size: int
    sha256: str


def config_files(files: Mapping[str, HubFile], repo: str) -> list[HubFile]:
    """Return the files of a model folder other than its weights, and the index of those.

    Raises ModelNotFound or InvalidModel for a repository that is no folder in safetensors.
    """
    ggufs = [name for name in files if name.endswith(".gguf")]
    if SINGLE not in files and INDEX not in files:
        if ggufs:
            raise ModelNotFound(
                "{repo} holds GGUF files and no safetensors: name one of them: {files}",
                repo=repo,
                files=_name_ggufs(repo, ggufs),
            )
        pickles = [name for name in files if name.endswith(_PICKLES)]
        if pickles:
            raise InvalidModel(
                "{repo} holds its weights as pickles only ({pickles}), which can run code when "
                "they are opened: {advice}",
                repo=repo,
                pickles=repr(pickles[0][:80]),
                advice=Message("use a version of the model in safetensors"),
            )
        raise ModelNotFound("{repo} holds no weights: it is not a repository of a model", repo=repo)
    if "config.json" not in files:
        raise ModelNotFound(
            "{repo} holds no config.json: it is not a model's repository", repo=repo
        )
    wanted = [files[name] for name in CONFIG_FILES if name in files]
    return wanted if SINGLE in files else [*wanted, files[INDEX]]


def likely_shards(files: Mapping[str, HubFile]) -> list[str]:
    """Return the names that look like files of weights, before the index is known."""
    return [name for name in files if _SHARD.fullmatch(name)]


def weight_files(files: Mapping[str, HubFile], shards: Collection[str], repo: str) -> list[HubFile]:
    """Return the files of weights: those that the index names, or the only one.

    Raises InvalidModel for one that is missing.
    """
    names = [SINGLE] if SINGLE in files else sorted(shards)
    missing = [name for name in names if name not in files]
    if missing:
        raise InvalidModel(
            "{repo} lacks {missing}, one of its {count} files of weights: {advice}",
            repo=repo,
            missing=repr(missing[0][:80]),
            count=len(names),
            advice=Message("use another version of the model"),
        )
    return [files[name] for name in names]


def split_parts(name: str) -> list[str]:
    """Return the names of the files of the GGUF `name`, in order: several for a split one."""
    part = _PART.fullmatch(name)
    count = int(part[3]) if part else 1
    if part is None or not 1 < count <= _MOST_PARTS:
        return [name]
    return [f"{part[1]}-{number:05}-of-{part[3]}.gguf" for number in range(1, count + 1)]


def gguf_files(files: Mapping[str, HubFile], name: str, repo: str) -> list[HubFile]:
    """Return the files of the GGUF `name`. Raises ModelNotFound, which names those there are."""
    ggufs = [known for known in files if known.endswith(".gguf")]
    for part in split_parts(name):
        if part not in files:
            there = Message("it has no GGUF")
            if ggufs:
                there = Message("name one of these: {files}", files=_name_ggufs(repo, ggufs))
            raise ModelNotFound(
                "{repo} has no file {part}: {there}", repo=repo, part=part, there=there
            )
    return [files[part] for part in split_parts(name)]


def _name_ggufs(repo: str, ggufs: Sequence[str]) -> str:
    firsts = sorted({split_parts(name)[0] for name in ggufs})
    shown = [f"hf:{repo}/{name[:120]}" for name in firsts[:_MOST_NAMED] if name.isprintable()]
    more = len(firsts) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
