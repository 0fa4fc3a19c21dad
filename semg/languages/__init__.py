"""What a participant reads, in the participant's language."""

from semg.languages.catalogue import DEFAULT_LANGUAGE, LANGUAGES, sentence, sentences

__all__ = ["DEFAULT_LANGUAGE", "LANGUAGES", "sentence", "sentences"]
