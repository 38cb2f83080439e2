"""The real NDIF server on loopback, without a GPU: redis, an object store, ray, controller, API.

Everything binds to 127.0.0.1 and is ended by the process ids that were recorded at the start.
From the shell: python -m tests.ndif.server VENV FOLDER (until Ctrl-C).
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

SHIM = Path(__file__).parent / "shim"
REDIS, STORE, GCS, RAY_CLIENT, DASHBOARD = 26379, 29000, 26385, 20001, 28265  # not 10002–19999
PORTS = (REDIS, STORE, GCS, RAY_CLIENT, DASHBOARD)
API = 28001
MEMORY = 12_000_000_000  # bytes that the pretended GPU offers
ATTEMPTS = 3  # to reach Ray, which on busy cores may not come up in time


class NdifServer:
    """One server; `start` waits until it is connected, `stop` ends what `start` began.

    Args:
        environment: the virtual environment that `tests.ndif.install` made.
        folder: for logs and state; a short path, since ray puts sockets below it.
        settings: more NDIF_… variables.
    """

    host = f"http://127.0.0.1:{API}"
    addresses = frozenset(("127.0.0.1", port) for port in (*PORTS, API))

    def __init__(
        self, environment: Path, folder: Path, settings: Mapping[str, str] | None = None
    ) -> None:
        self._bin = environment / "bin"
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._ray_folder: Path | None = None
        self._variables = {**_inherited(), **self._settings(), **(settings or {})}

    def __enter__(self) -> "NdifServer":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start all parts; about half a minute.

        Raises:
            RuntimeError: a port is taken, or a part did not come up (its log is named).
        """
        taken = [port for port in (*PORTS, API) if _answers(port)]
        if taken:
            raise RuntimeError(f"expected free ports, found {taken} in use")
        self._folder.mkdir(parents=True, exist_ok=True)
        self._ray_folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # short, for sockets
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every process that was started, and their children."""
        for process in reversed(self._processes):
            _end_tree(process.pid)
            process.wait()
        self._processes.clear()
        if self._ray_folder is not None:
            shutil.rmtree(self._ray_folder, ignore_errors=True)  # sockets of what has just ended

    def kill_worker(self) -> int:
        """Kill the process that holds a model, as memory or hardware might; returns its id."""
        for process in self._descendants():
            title = " ".join(process.cmdline())
            if "ModelActor" in title:
                pid: int = process.pid
                process.kill()
                return pid
        raise RuntimeError("expected a process that holds a model, found none")

    def memory(self) -> int:
        """Bytes of RAM that all of the server's processes hold."""
        held: int = sum(process.memory_info().rss for process in self._descendants())
        return held

    def deploy(self, model: str, **options: str | float) -> None:
        """Have the server open a model's folder now, as its operator would.

        Args:
            options: such as dtype or execution_timeout_seconds.
        """
        about = {"repo_id": model, "revision": None, "task": "text-generation"}
        key = f"nnsight.modeling.transformers.TransformersModel:{json.dumps(about)}"
        entry = {"checkpoint": model, "model_key": key, **options}
        wanted = self._folder / "models.yaml"
        wanted.write_text(json.dumps({"models": [entry]}))  # JSON is YAML
        ndif = "import task_classes; from ndif.cli import cli; cli()"
        command = [str(self._bin / "python"), "-c", ndif, "deploy", "-f", str(wanted)]
        for _ in range(ATTEMPTS):
            done = subprocess.run(
                command, env=self._variables, cwd=self._folder, capture_output=True, text=True
            )
            if "Starting Ray client server failed" not in done.stdout + done.stderr:
                break
        if done.returncode:
            raise RuntimeError(f"{model} could not be deployed: {done.stdout}{done.stderr}")

    def start_second_api(self, port: int, **settings: str) -> str:
        """Another door to the same server, with settings of its own; returns its address."""
        command = [self._bin / "uvicorn", "api:app", "--host", "127.0.0.1", "--port", port]
        self._run(f"api-{port}", command, **settings)
        self._until(f"api-{port}", lambda: _answers(port))
        return f"http://127.0.0.1:{port}"

    def _start(self) -> None:
        redis = ["--bind", "127.0.0.1", "--port", str(REDIS), "--save", ""]
        self._run("redis", ["redis-server", *redis])
        self._run("store", [self._bin / "moto_server", "-H", "127.0.0.1", "-p", str(STORE)])
        self._run("ray", [self._bin / "ray", *self._ray_options()])
        self._until("ray", lambda: _answers(REDIS) and _answers(RAY_CLIENT))
        self._run(
            "controller",
            [self._bin / "python", "-m", "ndif.services.ray.deployments.controller.controller"],
            RAY_ADDRESS=f"127.0.0.1:{GCS}",
        ).wait()
        gunicorn = ["--config", "python:ndif.services.api.gunicorn_conf"]
        bound = ["--bind", f"127.0.0.1:{API}", "api:app"]
        self._run("api", [self._bin / "gunicorn", *gunicorn, *bound])
        self._until("store", lambda: _answers(STORE))
        self._until("api", self._connected)

    def _run(self, name: str, command: list[Any], **more: str) -> "subprocess.Popen[bytes]":
        with (self._folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                list(map(str, command)),
                cwd=self._folder,
                env={**self._variables, **more},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def _until(self, name: str, holds: Callable[[], bool], seconds: float = 300.0) -> None:
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                raise RuntimeError(f"{name} did not come up; see {self._folder / name}.log")
            time.sleep(0.25)

    def _connected(self) -> bool:
        try:
            return httpx.get(f"{self.host}/connected", timeout=5.0).status_code == 200
        except httpx.HTTPError:
            return False

    def _descendants(self) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for process in self._processes:
            if psutil.pid_exists(process.pid):
                found += psutil.Process(process.pid).children(recursive=True)
        return found

    def _ray_options(self) -> list[str]:
        sizes = f'{{"head": 10, "cuda_memory_bytes": {MEMORY}, "cpu_memory_bytes": {MEMORY}}}'
        return [
            *("start", "--head", "--block", "--disable-usage-stats"),
            *("--node-ip-address=127.0.0.1", f"--port={GCS}"),
            f"--ray-client-server-port={RAY_CLIENT}",
            *("--num-gpus=1", "--num-cpus=8", f"--resources={sizes}"),
            *("--object-store-memory=200000000", "--include-dashboard=true"),
            *("--dashboard-host=127.0.0.1", f"--dashboard-port={DASHBOARD}"),
            f"--temp-dir={self._ray_folder}",
        ]

    def _settings(self) -> dict[str, str]:
        return {
            "PATH": f"{self._bin}:{os.environ['PATH']}",
            "PYTHONPATH": str(SHIM),
            "NDIF_HOME": str(self._folder),
            "NDIF_REDIS_URL": f"redis://127.0.0.1:{REDIS}",
            "NDIF_OBJECT_STORE_URL": f"http://127.0.0.1:{STORE}",
            "NDIF_OBJECT_STORE_ACCESS_KEY": "test",
            "NDIF_OBJECT_STORE_SECRET_KEY": "test",
            "NDIF_RAY_ADDRESS": f"ray://127.0.0.1:{RAY_CLIENT}",
            "NDIF_API_PORT": str(API),
            "NDIF_API_URL": self.host,
            "NDIF_API_WORKERS": "1",
            "NDIF_MODEL_IMPORT_PATH": "cpu_actors.ModelActor",
            "NDIF_CONTROLLER_IMPORT_PATH": "cpu_actors.ControllerActor",
            "NDIF_DEFAULT_DTYPE": "float32",
            "NDIF_DEFAULT_PADDING_BIAS": "0",
            "NDIF_MINIMUM_DEPLOYMENT_TIME_SECONDS": "0",
            "NDIF_DEFAULT_EXECUTION_TIMEOUT_SECONDS": "300",
            "NDIF_SANDBOX_POOL_SIZE": "1",
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "OMP_NUM_THREADS": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
            # 0 keeps ray's node address at 127.0.0.1, so that nothing binds to other interfaces
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "disabled",  # a token in the home folder turns it on, unasked
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        }


def _inherited() -> dict[str, str]:
    """This process's variables, without those that lead to the client's packages or key."""
    dropped = ("PYTHONPATH", "VIRTUAL_ENV", "RAY_ADDRESS", "NDIF_API_KEY", "NDIF_HOST")
    return {name: value for name, value in os.environ.items() if name not in dropped}


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _end_tree(pid: int) -> None:
    if not psutil.pid_exists(pid):
        return
    root = psutil.Process(pid)
    tree = [*root.children(recursive=True), root]
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for process in tree:
            if process.is_running():
                process.send_signal(sign)
        _, tree = psutil.wait_procs(tree, timeout=10)


def _interrupt(*ignored: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    with suppress(KeyboardInterrupt), NdifServer(Path(sys.argv[1]), Path(sys.argv[2])) as server:
        print(f"NDIF at {server.host}; Ctrl-C ends it", flush=True)
        signal.pause()
