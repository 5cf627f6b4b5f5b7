"""Networks that learn music from dance; each says what it reads, and knows nothing of releases."""
