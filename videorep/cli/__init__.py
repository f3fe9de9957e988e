"""The `videorep` command line: one small file per command, the work itself elsewhere."""

import sys

if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:  # as long as `python -m` looks for the module
    del sys.path[0]  # the current folder, where data may lie
