"""A conversation that is longer than a page shows at once."""

from dataclasses import replace

from glasschat.chat import Ending, Run, SavedConversation, Tree
from glasschat.sampling import SamplingParams


def long_chat(answers: int) -> SavedConversation:
    """Return a conversation with the id `long`, of so many questions and answers."""
    tree = Tree()
    for number in range(answers):
        tree = tree.ask(f"q{number}", f"Question {number}? " + "Words to fill it. " * 20)
        run = Run(SamplingParams(), ending=Ending.STOP)
        text = f"Answer {number}. " + "More **words** in a `reply`. " * 25
        tree = tree.reply(f"q{number}", f"a{number}", Run(SamplingParams()))
        tree = tree.put(replace(tree[f"a{number}"], text=text, runs=(run,)))
    return SavedConversation(id="long", title="Long", tree=tree)
