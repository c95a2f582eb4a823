"""Word analogies in ten lines: what is to "woman" as "king" is to "man"?

    .venv/bin/python examples/word_analogies.py

asks the service that `make run` starts, or the one at the address in LATENTSPACE_SERVER.
"""

from latentspace import Client

with Client() as ls:
    for question in ("man king woman", "france paris italy", "walk walked go"):
        a, b, c = question.split()
        print(f"{a} is to {b} as {c} is to")
        for match in ls.analogy("words", positive=[b, c], negative=[a], k=3):
            print(f"  {match.score:.3f}  {match.id}")
    print("the odd one out:", ls.doesnt_match("words", ["breakfast", "lunch", "violin", "dinner"]))
