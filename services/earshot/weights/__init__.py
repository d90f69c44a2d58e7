"""Where model weights come from: by name out of one cache folder, by path, or pulled from the network.

Nothing here is loaded or run. Serving reads only what is there (:func:`resolve`); the network is used by
:func:`pull` alone, which a person starts.
"""

from earshot.weights.catalog import Kind, Weights, find, known
from earshot.weights.placing import place
from earshot.weights.pulling import Progress, pull
from earshot.weights.store import Located, cache_folder, cached, locate, resolve

__all__ = [
    "Kind",
    "Located",
    "Progress",
    "Weights",
    "cache_folder",
    "cached",
    "find",
    "known",
    "locate",
    "place",
    "pull",
    "resolve",
]
