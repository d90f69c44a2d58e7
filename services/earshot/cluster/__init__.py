"""A release of the chart on Kubernetes, seen from outside: how it is, what it says, a way in.

It stands beside ``earshot.local``, which does the same for the stack of one machine, and imports
``rpc``, ``client``, ``errors`` and the ``kubernetes`` package alone. No ``kubectl`` is needed. What
the API server refuses, and what never reaches it, become errors of ``earshot.errors`` whose message
is one line. Only ``drain`` runs inside the cluster, and needs nothing but the standard library.

  connection   kubeconfig to API, refusals to errors
  release      deployments and pods by their labels; pods, autoscalers, components beside it
  tunnels      a pod's ports through the API server; edges and engines ask Envoys and replicas by it
  status, waiting, forwarding, logs, rotation      one for each sub-command of ``earshot cluster``
"""
