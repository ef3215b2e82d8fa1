"""One check a function: a case to findings. None of them runs the model."""
