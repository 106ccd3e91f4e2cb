"""The families of generated programs, a module for each kind; `cwm_trace.datasets.families` lists them."""
