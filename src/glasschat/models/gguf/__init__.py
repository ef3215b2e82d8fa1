"""GGUF files: their headers, read without a library."""
