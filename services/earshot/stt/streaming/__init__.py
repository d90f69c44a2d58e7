"""Live audio: from chunks as they come to finals that come once.

Front process: ``session`` (a stream's life), ``requests``, ``responses``, ``ledger``, ``position``,
``cuts``, ``agreement``, ``listeners``. Listener process: ``listen_task``, ``endpointing``. ``wire`` is
what the two say to each other.
"""
