"""Drills: a load whose answers are known, a fault by real means, and what must hold.

    make drills                          # all, as for a release
    python -m tests.drills --short       # what the checks run
    python -m tests.drills --only kill_replica

Each file of ``cases`` is one drill. Not collected by pytest: they take minutes, and their table is the
point of them.
"""
