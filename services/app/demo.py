"""First answers on the screen: an analogy, a nearest word, a sentence search, through a client."""

from collections.abc import Sequence

from latentspace import AsyncClient
from latentspace.errors import LatentspaceError

COLLECTION = "demo"
SENTENCES = (
    "The ferry leaves the harbour at seven every morning.",
    "Bread rises because yeast turns sugar into gas.",
    "A violin has four strings, tuned in fifths.",
    "The goalkeeper saved a penalty in the last minute.",
    "Snow closed the mountain pass until April.",
    "Photosynthesis turns sunlight into sugar.",
    "She repaired the old bicycle with a borrowed wrench.",
    "The bank raised its interest rate by half a point.",
    "Our cat sleeps on the warm printer.",
    "The parliament passed the budget after a long night.",
    "Rain filled the barrels behind the greenhouse.",
    "He tuned the piano before the concert.",
)
QUESTION = "musical instruments"


async def greet(address: str) -> None:
    """Asks the running service and prints what it says; then what to type next."""
    async with AsyncClient(address) as client:
        print(f"\nlatentspace answers on {address}\n")
        for show in (show_analogy, show_neighbours, show_sentences):
            try:
                await show(client)
            except LatentspaceError as error:
                print(f"  ({error})\n")
    server = "" if address == "127.0.0.1:50051" else f" --server {address}"
    print("Next, in another terminal:")
    print(f"  .venv/bin/latentspace{server} analogy words paris italy --minus france")
    print("Ctrl-C stops the service.\n", flush=True)


async def show_analogy(client: AsyncClient) -> None:
    """king - man + woman."""
    found = await client.analogy("words", positive=["king", "woman"], negative=["man"], k=3)
    print_rows("words: man is to king as woman is to", [(m.id, m.score) for m in found])


async def show_neighbours(client: AsyncClient) -> None:
    """Nearest words, and nearest characters of a novel."""
    found = await client.search("words", key="guitar", k=3)
    print_rows("words: nearest to guitar", [(m.id, m.score) for m in found])
    found = await client.search("nodes", key="Valjean", k=3)
    print_rows("nodes: nearest to Valjean in Les Misérables", [(m.id, m.score) for m in found])


async def show_sentences(client: AsyncClient) -> None:
    """A durable collection of sentences, searched by meaning."""
    names = {collection.name for collection in await client.collections()}
    if COLLECTION not in names:
        await client.create_collection(COLLECTION, model="sentences")
    payloads = [{"text": sentence} for sentence in SENTENCES]
    ids = [str(number) for number in range(1, len(SENTENCES) + 1)]
    await client.upsert(COLLECTION, ids=ids, texts=list(SENTENCES), payloads=payloads)
    found = await client.search(COLLECTION, text=QUESTION, k=2, with_payload=True)
    rows = [(str((match.payload or {}).get("text")), match.score) for match in found]
    print_rows(f"sentences: nearest to “{QUESTION}”", rows)


def print_rows(title: str, rows: Sequence[tuple[str, float]]) -> None:
    """A title and its answers."""
    print(f"  {title}")
    for text, score in rows:
        print(f"    {score:.3f}  {text}")
    print()
