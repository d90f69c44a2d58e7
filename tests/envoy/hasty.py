"""Envoy that waits less long than the real one, for tests and drills that see what it does then."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from earshot.local.trees import Tree, to_yaml


def shortened(times: Mapping[str, tuple[str, str]]) -> Callable[[Tree], str]:
    """What writes Envoy's configuration, in place of ``to_yaml``.

    ``times``: by their name, as they are described and as they are to be.
    """

    def written(config: Tree) -> str:
        text = to_yaml(config)
        for name, (described, short) in times.items():
            text, count = re.subn(rf'("{name}": )"{described}"', rf'\1"{short}"', text)
            assert count, f"the description has no {name} of {described} any more"
        return text

    return written
