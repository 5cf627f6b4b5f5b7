"""Training of the embedded transcriber: ``data`` makes examples, ``network`` learns, ``training`` runs both."""
