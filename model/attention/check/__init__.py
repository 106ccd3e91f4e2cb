"""The check kit for a machine with a GPU: `python -m cwm_trace.model.attention.check`."""
