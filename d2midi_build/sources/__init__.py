"""Lists of sources: reading the user's, and writing them for known datasets.

``lists`` reads what a user wrote (text, CSV, Parquet, a folder, one URL). Each other module turns the file
names of one known dataset into such a list; ``aist`` is the pattern. To add a dataset, write
``sources/<name>.py`` with a ``<name>_table`` that returns a ``pyarrow.Table`` holding ``url`` or ``path``
and, where the dataset knows them, ``genre``, ``performer``, ``licence`` and ``music``. Prefix performers
and music with the dataset's name: a split keeps groups together by these values, and ``d04`` of two
datasets are two people. ``lists.write_sources`` writes the table.
"""
