"""The release gate: is what is paired in a release really paired (facts/baselines.md, section 3.4; docs/gate.md)?

    report = run.gate(Path("releases/1.0.0"), Path("releases/1.0.0.gate"))
    report.verdict, report.why

``run`` asks all stages and writes the report. What they stand on: ``records`` (what a stage says, the publish rule),
``statistics``, ``heard`` (the clips as stages see them), ``dances`` (what models see of a dance), ``pairs`` (with own
music, with other music, mixed up), ``page`` (the report that people read), ``fitting``
(training), ``breakdown`` (by seed and by genre).

Stages: ``static`` with ``copies``, the leak probe (A); ``summary`` (B); ``overfitting`` and ``drum_task`` (C);
``association`` with ``counting`` (D for tokens, E); ``styles`` and ``masked`` with ``quad_task`` (D, for readers);
``alignment`` with ``beat_task``, and ``lag`` (F); ``control`` (G); ``generation`` (H).
"""
