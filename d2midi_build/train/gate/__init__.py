"""The release gate: is what is paired in a release really paired (facts/baselines.md, section 3.4)?

    release, clips = heard.read(folder)
    records = [
        *static.static_records(folder, release, clips),     # stage A
        *summary.summary_records(release, clips, rng),      # stage B
        *(found := lag.lag_records(clips, rng)).records,    # of stage F
    ]
    report = Report.decided(release, records, seeds=(0, 1, 2), settings={"lag": found.data()})
    Path("gate.html").write_text(page.page(report), encoding="utf-8")

``records`` holds what stages say and the publish rule; ``statistics`` the tests; ``heard`` the clips as stages see
them; ``static`` (with ``copies``, the leak probe), ``summary`` and ``lag`` the stages that need no training; ``page``
the report that people read.
"""
