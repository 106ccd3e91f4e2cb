"""CWM in NumPy: what a small model needs to predict on a CPU, without PyTorch."""
