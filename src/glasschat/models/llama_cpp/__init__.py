"""GGUF models, over llama.cpp's low-level calls."""
