"""Bytes to a waveform: any recording to 16-bit mono samples at 16 kHz.

``formats`` and ``limits`` are plain values that a front process may import. ``decoding`` and what
stands behind it load ffmpeg's libraries and belong into a process of their own.
"""
