"""One model held against another: a folder and its GGUF, or two quantisations of one model."""
