"""`python -m cwm_trace` is `cwm-trace`."""

from cwm_trace.cli.main import main

if __name__ == "__main__":
    main()
