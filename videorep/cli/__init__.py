"""The `videorep` command line: one small file per command, the work itself elsewhere."""
