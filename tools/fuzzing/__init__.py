"""What tools/fuzz.py is made of: mutations of files, the parsers that read them, and the process that runs these."""
