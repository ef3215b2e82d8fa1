"""glasschat: a self-hosted web chat for Llama-3-class models, with a glass box behind it."""

__version__ = "0.1.0"
