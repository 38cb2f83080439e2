"""Make the virtual environment of the NDIF server: python -m tests.ndif.install FOLDER.

It needs redis-server (Debian: apt-get install redis-server) beside it, and 1.7 GB with a CPU build
of torch. The package under test is not in it: the server must never have heard of it.
"""

import subprocess
import sys
import time
import venv
from pathlib import Path

TORCH = ["torch==2.13.0"]
SERVER = [
    "nnsight==0.8.1",
    "transformers==5.23.0",
    "ray[default]==2.60.0",
    *("accelerate", "peft", "zstandard", "numpy", "pydantic", "redis", "click", "python-dotenv"),
    *("pyyaml", "boto3", "fastapi", "uvicorn[standard]", "gunicorn", "python-multipart"),
    "moto[s3,server]",
]
NDIF = ["--no-deps", "--ignore-requires-python", "ndif==0.1.2"]  # 3.12 is declared, 3.11 works


def install(folder: Path) -> None:
    """Create the environment; one that is whole is left as it is."""
    whole = folder / "whole"
    if whole.is_file():
        return
    venv.create(folder, with_pip=True, clear=True)
    for packages in (TORCH, SERVER, NDIF):
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", *packages], check=True)
    whole.touch()


def wait_for(folder: Path, seconds: float = 900.0) -> None:
    """Wait until another process has installed the environment.

    Raises:
        RuntimeError: it did not end in time.
    """
    end = time.monotonic() + seconds
    while not (folder / "whole").is_file():
        if time.monotonic() > end:
            raise RuntimeError(f"{folder} is not whole; run python -m tests.ndif.install {folder}")
        time.sleep(1)


if __name__ == "__main__":
    install(Path(sys.argv[1]))
