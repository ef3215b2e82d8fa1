"""One function per check, from a model to its findings. No check runs the model."""
