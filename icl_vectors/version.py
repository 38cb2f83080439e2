"""The package's version, from its installed metadata."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("icl-vectors")
except PackageNotFoundError:  # a checkout that was not installed
    VERSION = "0+unknown"
