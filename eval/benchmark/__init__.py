"""Tasks, their truth, the runner, its logs, and the results that are read from them."""
