"""`python -m tidegate`, the same as `tidegate`."""

from tidegate.cli import main

main()
