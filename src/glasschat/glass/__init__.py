"""The glass box: questions asked of what was recorded of a reply. No model, no pages."""

from glasschat.glass.trace import Trace, recorded

__all__ = ["Trace", "recorded"]
