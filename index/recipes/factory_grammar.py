"""Which FAISS factory strings are taken.

FAISS parses these strings with recursive regular expressions and builds what they name at once, so
that 20,000 letters end the process and 24 bytes take gigabytes. What comes from a caller is checked
here first:

    STRING    = { TRANSFORM "," } INDEX [ "," REFINE ]          at most two transforms, 64 letters
    TRANSFORM = PCA<d> | PCAR<d> | OPQ<m>[_<d>] | RR<d> | L2norm
    INDEX     = CODE | IVF<n>[_HNSW<m>],CODE | HNSW<m>[,CODE | _CODE] | NSG<r>[,Flat] | LSH
    CODE      = Flat | SQ4 | SQ6 | SQ8 | SQfp16 | SQbf16 | PQ<m>[x<bits>][fs | fsr | np] | RaBitQ
    REFINE    = RFlat | Refine(Flat | SQ8 | SQfp16 | SQbf16)
"""

import re

from index.errors import SpecError

MAX_LETTERS = 64
MAX_TRANSFORMS = 2

# numbers of a string: the least and the most
_BOUNDS = {
    "dims": (1, 65_536),
    "subvectors": (1, 4_096),
    "bits": (4, 8),  # a codebook has 2 ** bits rows
    "lists": (1, 65_536),
    "links": (2, 256),
}
_CODE = (
    r"Flat|SQ4|SQ6|SQ8|SQfp16|SQbf16|RaBitQ|PQ(?P<subvectors>\d+)(?:x(?P<bits>\d+))?(?:fsr?|np)?"
)
_TRANSFORM = re.compile(
    r"PCAR?(?P<dims>\d+)|RR(?P<dims_rr>\d+)|L2norm"
    r"|OPQ(?P<subvectors>\d+)(?:_(?P<dims_opq>\d+))?"
)
_INDEX = re.compile(
    rf"(?:IVF(?P<lists>\d+)(?:_HNSW(?P<links_ivf>\d+))?,|HNSW(?P<links_hnsw>\d+)[,_])?(?:{_CODE})"
    r"|HNSW(?P<links>\d+)|NSG(?P<links_nsg>\d+)(?:,Flat)?|LSH"
)
_REFINE = re.compile(r"RFlat|Refine\((?:Flat|SQ8|SQfp16|SQbf16)\)")


def check_factory_string(text: str) -> None:
    """Refuses strings that are not of the grammar, or whose numbers are out of bounds.

    Raises:
        SpecError: naming the part.
    """
    if len(text) > MAX_LETTERS:
        raise SpecError(
            "recipe", f"a factory string has at most {MAX_LETTERS} letters, not {len(text)}"
        )
    parts = text.split(",")
    transforms = 0
    while len(parts) > 1 and transforms < MAX_TRANSFORMS and _matches(_TRANSFORM, parts[0]):
        del parts[0]
        transforms += 1
    if len(parts) > 1 and _matches(_REFINE, parts[-1]):
        parts.pop()
    if not _matches(_INDEX, ",".join(parts)):
        raise SpecError(
            "recipe",
            f"factory string {text!r}: {','.join(parts)!r} is not an index that is served; such as "
            "HNSW32, IVF1024,SQ8, IVF1024,PQ48 or PCA128,IVF1024,PQ64,RFlat",
        )


def _matches(pattern: re.Pattern[str], part: str) -> bool:
    """Whether a part is of a pattern.

    Raises:
        SpecError: it is, with a number out of bounds.
    """
    match = pattern.fullmatch(part)
    if match is None:
        return False
    for group, digits in match.groupdict().items():
        if digits is None:
            continue
        name = group.partition("_")[0]
        least, most = _BOUNDS[name]
        # no part is long enough for more digits than int() takes
        if not least <= int(digits) <= most:
            raise SpecError(
                "recipe", f"factory string part {part!r}: {name} must be {least} to {most:,}"
            )
    return True
