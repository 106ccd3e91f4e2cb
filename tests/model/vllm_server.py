"""One vLLM server for a session, in a process group of its own, or one that somebody else started.

The Python of a virtual environment with vLLM is named by CWM_VLLM_PYTHON; CWM_VLLM_URL (`http://HOST:PORT`)
names a server instead, which must serve the folder in CWM_VLLM_CHECKPOINT.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

READY_SECONDS = 600  # a minute, unless others work on the same cores
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_CPU_OMP_THREADS_BIND": "auto",
    "TORCHDYNAMO_DISABLE": "1",
}
NAME = "checkpoint"


@dataclass(frozen=True, slots=True)
class VllmServer:
    """Where a server listens and which folder it serves."""

    url: str
    checkpoint: Path

    def post(self, **fields: Any) -> dict[str, Any]:
        """Ask for completions."""
        body = json.dumps({"model": self.served_name(), **fields}).encode()
        request = urllib.request.Request(
            f"{self.url}/v1/completions", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as response:
            return dict(json.load(response))

    def served_name(self) -> str:
        """Ask which model is served."""
        with urllib.request.urlopen(f"{self.url}/v1/models", timeout=20) as response:
            return str(json.load(response)["data"][0]["id"])

    def complete(self, prompts: Sequence[Sequence[int]], max_tokens: int, **fields: Any) -> list[list[int]]:
        """Continue prompts greedily; returns the new ids of each, a stop token included."""
        answer = self.post(
            prompt=[list(prompt) for prompt in prompts],
            max_tokens=max_tokens,
            temperature=0.0,
            return_token_ids=True,
            skip_special_tokens=False,
            **fields,
        )
        choices = sorted(answer["choices"], key=lambda choice: int(choice["index"]))
        return [list(choice["token_ids"]) for choice in choices]


@contextmanager
def serve(python: str, checkpoint: Path, log: Path) -> Iterator[VllmServer]:
    """Start vLLM on a checkpoint and end it, with its workers, afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {
        "model": checkpoint,
        "served-model-name": NAME,
        "host": "127.0.0.1",
        "port": port,
        "dtype": "float32",
        "max-model-len": 1024,
        "max-num-seqs": 32,
        "generation-config": "vllm",
    }
    command = [python, "-m", "vllm.entrypoints.openai.api_server", "--enforce-eager"]
    command += [part for name, value in options.items() for part in (f"--{name}", str(value))]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment | ENVIRONMENT,
            cwd=log.parent,  # not the checkout, whose folder `datasets` would be found first
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(process, url, log)
        yield VllmServer(url, checkpoint)
    finally:
        _end_group(process)


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return
        except OSError:  # noqa: PERF203 (URLError too; not up yet)
            time.sleep(0.5)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
    raise RuntimeError(f"vLLM ended or was not ready within {READY_SECONDS} s:\n{tail}")


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the group, later SIGKILL to what is left: killing the parent alone leaves workers."""
    for how, seconds in ((signal.SIGTERM, 20), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, how)
        except ProcessLookupError:
            break
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and _group_lives(process):
            time.sleep(0.1)
    process.wait(timeout=5)


def _group_lives(process: subprocess.Popen[bytes]) -> bool:
    process.poll()  # a zombie would count as alive
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True
