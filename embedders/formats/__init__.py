"""Files of keys and vectors: reading any known format, writing each."""

from embedders.formats.layout import StorageDtype, save_safetensors
from embedders.formats.reading import read_vocabulary
from embedders.formats.rows import BadRows
from embedders.formats.sniffing import VocabularyFormat, sniff
from embedders.formats.writing import save_glove_text, save_word2vec_binary, save_word2vec_text

__all__ = [
    "BadRows",
    "StorageDtype",
    "VocabularyFormat",
    "read_vocabulary",
    "save_glove_text",
    "save_safetensors",
    "save_word2vec_binary",
    "save_word2vec_text",
    "sniff",
]
