"""Training. ``embedded`` trains the networks that come with the package."""
