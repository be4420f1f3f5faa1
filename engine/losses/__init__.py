"""What training minimises: one file per loss, composed by :mod:`engine.losses.total`, named in
:mod:`engine.losses.registry`."""
