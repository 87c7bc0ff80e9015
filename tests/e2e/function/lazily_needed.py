"""What lazily.py imports."""

import wave


def name():
    return wave.__name__
