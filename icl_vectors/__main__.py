"""`python -m icl_vectors`: the same as `icl-vectors`."""

from icl_vectors.cli.main import main

main()
