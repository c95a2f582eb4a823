"""Text files, read by one set of rules: sources, vectors, labels, ids, `--file`, edge lists.

- UTF-8; a byte order mark at the beginning is left out; UTF-16 and UTF-32 are refused by name.
- Lines end at LF or CR LF only. A lone CR, U+2028, NEL or a form feed are letters of their line.
- Every line has a number from 1, blank ones too; whoever passes lines over counts them.
- A line that is not UTF-8, has a NUL byte or over 16 MiB is faulty by itself; the next are read.
- gzip and xz are unpacked, whatever the name says.
"""

from latentspace_text.edges import Delimiter, EdgeFormat
from latentspace_text.lines import MAX_LINE_BYTES, Line, TextFileError, open_lines, read_lines
from latentspace_text.lists import Listing, read_list

__all__ = [
    "MAX_LINE_BYTES",
    "Delimiter",
    "EdgeFormat",
    "Line",
    "Listing",
    "TextFileError",
    "open_lines",
    "read_lines",
    "read_list",
]
