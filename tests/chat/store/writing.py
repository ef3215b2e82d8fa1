"""Processes that write to a store and are killed, or write beside each other.

    python -m tests.chat.store.writing killed URL     one child after another, each killed -9
    python -m tests.chat.store.writing beside URL     one of several at once

A child is forked from this process, which has imported everything: fifty of them take seconds.
"""

import json
import os
import signal
import sys
import time
from typing import Any

from glasschat.chat.node import Node, Run, new_id
from glasschat.chat.store import ReplyWriter, Store, StoredReply, open_store
from glasschat.chat.tree import Tree
from glasschat.engine import FinishReason, Step
from glasschat.engine.request import GenerationRequest
from glasschat.prompt import PromptEncoding
from glasschat.sampling import SamplingParams
from tests.support.generations import ManualGeneration

OWNER = "me"
TOKENS = 30


def word(number: int) -> str:
    """The text of a reply's token of that number."""
    return f"{number} "


def generation(ending: int = 10**6) -> ManualGeneration:
    """A handle that no engine has: its tokens are appended by hand."""
    prompt = PromptEncoding((1, 2), ())
    request = GenerationRequest(prompt, SamplingParams(), 100, frozenset({ending}), 2 * 10**6)
    return ManualGeneration(request)


def grow(handle: ManualGeneration, count: int = 1) -> None:
    """Append the next tokens."""
    for _ in range(count):
        number = len(handle.steps())
        handle.writer.append(Step(number, word(number), None))


def begun(store: Store, conversation: str) -> tuple[str, StoredReply]:
    """A user turn and an empty reply in the store: the reply's id, and the reply."""
    asked = Node(new_id(), None, "user", "count!")
    reply = Tree((asked,)).reply(asked.id, new_id(), Run(SamplingParams())).last
    assert reply is not None
    return reply.id, store.begin_reply(OWNER, conversation, reply, question=asked)


def write_until_killed(url: str, told: int) -> None:
    """Write replies, telling after each commit what is safe from now on."""
    store = open_store(url)
    writer = ReplyWriter(store, every_s=0.003)
    conversation = store.create(OWNER).id
    while True:
        reply, stored = begun(store, conversation)
        handle = generation()
        writer.follow(stored, handle)
        for number in range(TOKENS):
            grow(handle)
            time.sleep(0.0005)
            if number % 4 == 0:
                writer.flush()
                tell(told, conversation, reply, number + 1, False)
        handle.writer.finish(FinishReason.STOP)
        writer.flush()
        tell(told, conversation, reply, TOKENS, True)


def tell(told: int, *line: Any) -> None:
    """One line to the process that kills; less than a pipe takes at once."""
    os.write(told, (json.dumps(line) + "\n").encode())


def killed(url: str) -> None:
    """For each line on stdin, that many milliseconds: a child that is killed after them."""
    for line in sys.stdin:
        ours, told = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(ours)
            write_until_killed(url, told)
        os.close(told)
        with os.fdopen(ours) as lines:
            safe = [json.loads(lines.readline())]
            time.sleep(float(line) / 1000)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            safe += [json.loads(line) for line in lines if line.endswith("\n")]
        print(json.dumps(safe), flush=True)


def beside(url: str) -> None:
    """Open the store, wait for a conversation and a count, add as many turns, one by one."""
    store = open_store(url)
    print("open", flush=True)
    conversation, count, root = sys.stdin.readline().split()
    for number in range(int(count)):
        node = Node(f"{os.getpid()}-{number}", root, "assistant", word(number))
        store.add_turn(OWNER, conversation, node)
    reply = Node(f"{os.getpid()}-grown", root, "assistant", "", (), 0, (Run(SamplingParams()),))
    stored = store.begin_reply(OWNER, conversation, reply)
    writer = ReplyWriter(store, every_s=0.002)
    handle = generation()
    writer.follow(stored, handle)
    for _ in range(TOKENS):
        grow(handle)
        time.sleep(0.001)
    handle.writer.finish(FinishReason.STOP)
    writer.close()
    store.close()


if __name__ == "__main__":
    {"killed": killed, "beside": beside}[sys.argv[1]](sys.argv[2])
