"""Conversations of every shape that there can be, for hypothesis."""

import math

from hypothesis import strategies as st

from glasschat.chat.node import Ending, Node, Origin, Run
from glasschat.chat.saved import SavedConversation
from glasschat.chat.tree import Tree
from glasschat.engine import Timings, Usage
from glasschat.sampling import CustomStage, SamplingParams

texts = st.text(max_size=30)
times = st.integers(0, 2**53)
counts = st.integers(0, 2**31 - 1)
speeds = st.none() | st.floats(0, 1e6)
seeds = st.none() | st.integers(0, 2**64 - 1)
values = st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e300, 1e300) | texts
own_stages = st.builds(
    CustomStage.of,
    st.sampled_from(["half", "Letters_2"]),
    st.sampled_from(["processor", "warper"]),
    st.dictionaries(st.sampled_from(["by", "case", "x9"]), values, max_size=3),
)
params = st.builds(
    SamplingParams,
    temperature=st.floats(0, 100),
    top_k=counts,
    logit_bias=st.dictionaries(
        st.integers(0, 200_000), st.floats(-1e38, 1e38) | st.just(-math.inf), max_size=2
    ),
    stop=st.lists(st.text(min_size=1, max_size=3), max_size=2).map(tuple),
    seed=seeds,
    own_stages=st.lists(own_stages, max_size=2, unique_by=lambda stage: stage.name).map(tuple),
)
origins = st.builds(Origin, texts, texts, texts, st.dictionaries(texts, texts, max_size=2))
runs = st.builds(
    Run,
    params=params,
    origin=origins,
    first_token=counts,
    created=times,
    ending=st.none() | st.sampled_from(Ending),
    error=st.none() | texts,
    seed=seeds,
    usage=st.builds(Usage, counts, counts, counts),
    timings=st.builds(Timings, speeds, speeds, speeds),
)


@st.composite
def trees(draw: st.DrawFn, most: int = 12) -> Tree:
    """Turns below any of those before, some deleted, one path chosen, or another."""
    nodes: list[Node] = []
    for number in range(draw(st.integers(0, most))):
        parent = draw(st.sampled_from([None, *nodes]))
        reply = parent is not None and parent.role == "user"
        nodes.append(
            Node(
                id=f"n{number}",
                parent=parent.id if parent else None,
                role="assistant" if reply else "user",
                text=draw(texts),
                ids=draw(st.none() | st.lists(st.integers(0, 2**32 - 1), max_size=4).map(tuple))
                if reply
                else None,
                created=draw(times),
                runs=tuple(draw(st.lists(runs, max_size=2))) if reply else (),
                deleted=draw(st.integers(0, 5)) == 0,
            )
        )
    tree = Tree(tuple(nodes))
    for node in draw(st.lists(st.sampled_from(nodes), max_size=3)) if nodes else []:
        if tree.visible(node.id):
            tree = tree.select(node.id)
    return tree


conversations = st.builds(
    SavedConversation,
    id=st.text("abcXYZ09-_", min_size=1, max_size=22),
    title=texts,
    pinned=st.booleans(),
    created=times,
    updated=times,
    system=texts,
    params=st.none() | params,
    tree=trees(),
)
