"""Bytes from outside, made by a fuzzer that sees which code they reach: ``make fuzz``.

``targets.py`` says what must hold of any bytes; ``corpus/TARGET/`` keeps inputs that once broke it, and some
to begin with. ``python -m tests.fuzz TARGET`` runs one under libFuzzer.
"""
