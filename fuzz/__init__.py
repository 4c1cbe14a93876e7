"""Fuzzing of everything that reads bytes from the network; `make fuzz`, or `python -m fuzz --help`."""
