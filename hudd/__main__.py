"""``python -m hudd``."""

from hudd.cli import main

main()
