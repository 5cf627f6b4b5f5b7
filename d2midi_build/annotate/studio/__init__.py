"""Note correction in Label Studio: tasks made of sheets, and what people left in them read back.

    selection, choosing        which sheets, and their notes from the workspace
    parts, preparing, blind    what a task holds: a sheet, a part of a dense one, an excerpt to write down from scratch
    pages, lanes               where a note lies on a picture
    drawing, png, footage, rendering    pictures and videos that tasks show
    commands                   changes of many notes at once
    sent                       a task as it was sent, kept in the workspace
    regions, items             its notes as Label Studio's rectangles, and rectangles as notes again
    push, pull, answers        tasks made and renewed; what people submitted made corrections
    client                     Label Studio's API: transport, projects, tasks, importing, drafts, config
    server                     one of our own: process, private, credentials
    hearing, addresses         what the Listen page (`annotate.listen`) plays, and where things are

A task's *key* names its sheet and part for good, within its project. Its *version* names what it shows: the same sheet
transcribed again, or sent with other wishes, is another version, and each is read by the record of what was sent.
"""
