"""The programs that glasschat is measured against, in the same run on the same machine.

- `bare_loop`: llama.cpp's own speed, a bare `llama_decode` and an argmax. The ceiling.
- `llama_server`: llama.cpp's server, from the package xllamacpp. The peer.
- `generate`: transformers' own loop, for model folders. The other peer.
- `original`: the algorithm of the demo that glasschat starts from, on transformers. The floor.

All but the first need the extra `bench`; nothing is imported before it is used.
"""

from bench.rivals._libraries import RivalFailed
from bench.rivals._server_process import llama_server
from bench.rivals.bare_loop import BareLoop, measure_bare_loop
from bench.rivals.generate import Generate, GenerateReply, generate
from bench.rivals.llama_server import (
    LlamaServer,
    ServerParallel,
    ServerReply,
)
from bench.rivals.original import (
    OriginalChat,
    OriginalTurn,
    measure_original_chat,
)

__all__ = [
    "BareLoop",
    "Generate",
    "GenerateReply",
    "LlamaServer",
    "OriginalChat",
    "OriginalTurn",
    "RivalFailed",
    "ServerParallel",
    "ServerReply",
    "generate",
    "llama_server",
    "measure_bare_loop",
    "measure_original_chat",
]
