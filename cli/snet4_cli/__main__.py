"""`python -m snet4_cli`, and `torchrun -m snet4_cli` for several processes."""

from snet4_cli.main import main

main()
