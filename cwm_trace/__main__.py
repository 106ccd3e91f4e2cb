"""`python -m cwm_trace` is `cwm-trace`: it does not import what lies in the working folder."""

import os
import sys

if sys.path[0] == os.getcwd():  # put there by -m; a `click.py` of the user's is no package of ours
    sys.path[0] = os.path.dirname(sys.executable)  # as for the command

from cwm_trace.cli.main import main

if __name__ == "__main__":
    main()
