"""Run as a script: hosts llama.cpp's server until standard input closes.

Its one argument is the settings as JSON; it prints one line, `listening {"url": …}`.
"""

import json
import os
import sys
from typing import Any


def host(settings: dict[str, Any]) -> None:
    """Serve on a free loopback port; does not return."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings["model"]
    params.n_ctx = settings["context"] * settings["slots"]
    params.n_parallel = settings["slots"]
    params.kv_unified = settings["unified"]
    params.cpuparams.n_threads = settings["threads"]
    params.cpuparams_batch.n_threads = settings["batch_threads"]
    params.n_gpu_layers = settings["gpu_layers"]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.ui = False
    params.fit_params = False
    params.verbosity = 0
    server = xllamacpp.Server(params)
    ready = {"url": server.listening_address, "system_info": xllamacpp.get_system_info()}
    print("listening", json.dumps(ready), flush=True)
    sys.stdin.read()
    # The server's own threads would keep an ordinary exit waiting.
    os._exit(0)


if __name__ == "__main__":
    host(json.loads(sys.argv[1]))
