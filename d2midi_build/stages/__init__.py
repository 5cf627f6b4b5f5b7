"""One file per stage; ``base`` says what a stage is."""
