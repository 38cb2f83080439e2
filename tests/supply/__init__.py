"""How the package is built and what it is installed with."""
