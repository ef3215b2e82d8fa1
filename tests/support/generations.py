"""A generation without an engine: a test appends its tokens."""

from glasschat.engine import Generation, GenerationRequest, GenerationWriter


class ManualGeneration(Generation):
    """A handle together with its writing side."""

    def __init__(self, request: GenerationRequest) -> None:
        self.writer = GenerationWriter(request)
        super().__init__(self.writer, lambda: None)
