"""Model folder against transformers: one reply, eight at once, an eight-turn chat.

Replies are short, for an end in some four minutes on two cores with 135M parameters: transformers
answers 13 tokens a second there.
"""

from collections.abc import Callable
from typing import Literal

from bench.chat import Turns, compare_turns, our_turns
from bench.config import QUESTIONS, BenchConfig, decode_tps, reply_of, total_tps
from bench.parallel import HEROES
from bench.report import Report, compare
from bench.rivals import Generate, generate, measure_original_chat
from glasschat.backends import LocalBackend
from glasschat.prompt import ChatMessage

TOKENS = 48
TURN_TOKENS = 32
CONTEXT = 2048
RUNS = 3
# Replies one after the other have one speed, however many they are.
ONE_BY_ONE = 2
# What eight at once must be of one by one.
TARGETS: dict[str, float] = {"float32": 4.0, "bfloat16": 6.0}
DTYPES: tuple[Literal["float32", "bfloat16"], ...] = ("float32", "bfloat16")
# Seconds to the first token at turn 8: at most a fifth of theirs.
FIRST = 5.0


def measure_folder(setting: BenchConfig, report: Report, say: Callable[[str], None]) -> None:
    """Measure every comparison, in float32 and in bfloat16."""
    for dtype in DTYPES:
        own = setting.with_dtype(dtype)
        rival = generate(own.plan.path, dtype=dtype, threads=own.plan.threads)
        with own.backend(slots=len(HEROES), context=CONTEXT) as backend, rival as theirs:
            _replies(backend, theirs, report, say)
            _chat(backend, theirs, report, say)
        say(f"{dtype}: chat, the original's algorithm")
        chat = measure_original_chat(
            own.plan.path, QUESTIONS, TURN_TOKENS, dtype=dtype, threads=own.plan.threads
        )
        original: Turns = [(turn.ttft_s, turn.decode_tps) for turn in chat.turns]
        ours = report.details[f"chat, {dtype}"]["ours"]
        name = f"the original's algorithm, {dtype}"
        compare_turns(report, ours[:1], name, [original], first=None, decode=None)


def _replies(
    backend: LocalBackend, rival: Generate, report: Report, say: Callable[[str], None]
) -> None:
    dtype = rival.dtype
    one: list[float] = []
    their_one: list[float] = []
    eight: list[float] = []
    their_eight: list[float] = []
    for run in range(RUNS):
        say(f"{dtype}: replies, run {run + 1} of {RUNS}")
        prompts = [
            backend.encode([ChatMessage("user", f"Tell me story number {run} about {hero}.")]).ids
            for hero in HEROES
        ]
        params = reply_of(TOKENS, seed=run)
        # First all, as long as none of them is in a slot; decode of one does not count the prompt.
        eight.append(total_tps(backend, prompts, params))
        found = rival.replies(prompts[:ONE_BY_ONE], TOKENS, seed=run)
        their_eight.append(len(found) * TOKENS / sum(reply.seconds for reply in found))
        their_one.append(found[0].decode_tps)
        one.append(decode_tps(backend.engine.submit(prompts[0], params)))
    name = f"generate, {dtype}"
    report.figures += [
        compare("one reply, decode", "tokens/s", one, name, their_one, target=1.0),
        compare(
            "8 at once, total",
            "tokens/s",
            eight,
            f"{name}, one by one",
            their_eight,
            target=TARGETS[dtype],
        ),
    ]


def _chat(
    backend: LocalBackend, rival: Generate, report: Report, say: Callable[[str], None]
) -> None:
    dtype = rival.dtype
    say(f"{dtype}: chat")
    system = "You are a helpful assistant."
    ours = [our_turns(backend, system, TURN_TOKENS)]
    theirs = [_their_turns(backend, rival, system)]
    compare_turns(report, ours, f"generate, {dtype}", theirs, first=FIRST, decode=None)
    report.details[f"chat, {dtype}"] = {"ours": ours, "generate": theirs}


def _their_turns(backend: LocalBackend, rival: Generate, system: str) -> Turns:
    """Run the same chat on `generate`, which prefills the whole history at every turn."""
    messages = [ChatMessage("system", system)]
    turns: Turns = []
    for number, question in enumerate(QUESTIONS):
        messages.append(ChatMessage("user", question))
        reply = rival.replies([backend.encode(messages).ids], TURN_TOKENS, seed=number)[0]
        messages.append(ChatMessage("assistant", "", reply.ids))
        turns.append((reply.ttft_s, reply.decode_tps))
    return turns
