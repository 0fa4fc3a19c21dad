"""What a participant reads, in the participant's language."""

from semg.languages.catalogue import DEFAULT_LANGUAGE, LANGUAGES, sentence, sentences
from semg.languages.ready_made import description, names, shown_descriptions, shown_names

__all__ = [
    "DEFAULT_LANGUAGE", "LANGUAGES", "description", "names", "sentence", "sentences", "shown_descriptions",
    "shown_names",
]  # fmt: skip
