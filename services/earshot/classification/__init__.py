"""Zero-shot classification of texts, and of speech through the speech-to-text service."""
