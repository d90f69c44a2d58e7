"""Drills on a real cluster of two nodes: ``python -m tests.drills --cluster``, with KUBECONFIG set.

The image of EARSHOT_CLUSTER_IMAGE must be on its nodes. Calls and streams come from pods.
"""
