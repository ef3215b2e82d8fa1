"""With the real weights, a reply that is cut and continued is the one that was never cut."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from glasschat.engine import Engine, Generation
from glasschat.prompt import ChatMessage, ChatTemplate
from glasschat.sampling import SamplingParams
from tests.support.models import real_engine

pytestmark = pytest.mark.parity

TOKENS = 32
QUESTION = [ChatMessage("user", "Explain recursion with a short Python example. 你好!")]
SETTINGS = {
    "greedy": SamplingParams(temperature=0.0, repetition_penalty=1.1),
    "drawn": SamplingParams(seed=7),
    "penalties": SamplingParams(
        seed=8, temperature=1.2, top_p=1.0, presence_penalty=1.0, frequency_penalty=0.5,
        no_repeat_ngram_size=3, min_new_tokens=24,
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=[True, False], ids=["exact", "cached"])
def engine(builtin_model_path: Path, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """In exact mode all is computed anew, in the steps of the first time; else read from the
    cache."""
    with real_engine(builtin_model_path, slots=1, exact=request.param) as engine:
        yield engine


def written(engine: Engine, messages: list[ChatMessage], params: SamplingParams) -> Generation:
    prompt = ChatTemplate(engine.model.tokenizer).prompt_for(messages)
    generation = engine.submit(prompt, params)
    generation.result(120)
    return generation


def choices(generation: Generation) -> list[tuple[int, float | None, float]]:
    steps = [step.record for step in generation.steps()]
    return [(r.token_id, r.u, r.logsumexp) for r in steps if r is not None]


@pytest.mark.parametrize(
    "name",
    ["penalties", *(pytest.param(name, marks=pytest.mark.slow) for name in ("greedy", "drawn"))],
)
def test_cut_and_continued_is_uncut(engine: Engine, name: str) -> None:
    """To the last bit of the logits: ids, draws, text."""
    params = replace(SETTINGS[name], max_new_tokens=TOKENS)
    whole = written(engine, QUESTION, params)
    assert len(whole.steps()) > 24
    for cut in (1, 2, 17):
        first = written(engine, QUESTION, replace(params, max_new_tokens=cut))
        rest = replace(params, max_new_tokens=TOKENS - cut)
        more = written(engine, [*QUESTION, first.message()], rest)
        assert [*choices(first), *choices(more)] == choices(whole), cut
        assert first.message().text + more.message().text == whole.message().text
        usage = more.snapshot().usage
        assert usage.cached_tokens == (0 if engine.exact else usage.prompt_tokens - 1)


def test_another_token_at_any_place_is_a_reply_on_its_own_from_there(engine: Engine) -> None:
    """The sibling has the same ids up to there; branched again from text and ids, it is itself."""
    params = replace(SETTINGS["greedy"], max_new_tokens=TOKENS)
    whole = written(engine, QUESTION, params)
    for cut in (0, 5, 20):
        steps = whole.steps()
        record = steps[cut].record
        assert record is not None
        ids = [step.token_id for step in steps[:cut]]
        other = int(next(i for i in record.top_ids if i != steps[cut].token_id))
        text = "".join(step.text for step in steps[:cut])
        branch = [*QUESTION, ChatMessage("assistant", text, (*ids, other))]
        params = replace(params, max_new_tokens=8)
        sibling = written(engine, branch, params)
        again = written(engine, branch, params)
        assert choices(sibling) == choices(again)
        joined = b"".join(
            engine.model.tokenizer.token_bytes(i)
            for i in [*ids, other, *(sibling.message().ids or ())]
        )
        assert joined.decode(errors="ignore") == text + sibling.message().text
