"""Model folders in Hugging Face format, over transformers' modelling code."""
