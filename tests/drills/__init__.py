"""Drills: a load whose answers are known, a fault by real means, and what must hold.

    make drills                          # all of this machine, as for a release
    python -m tests.drills --short       # what the checks run
    python -m tests.drills --cluster     # those of the cluster that KUBECONFIG names
    python -m tests.drills --only kill_replica

Each file of ``cases`` is one drill: its load, its fault, what must hold, and the scene that it takes place in
(a stack, made for all drills of it that follow on each other). What the long form counts is kept in
``results.json`` and shown by ``docs/reliability.md``. Not collected by pytest: they take minutes.
"""
