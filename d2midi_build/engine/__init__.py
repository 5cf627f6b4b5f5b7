"""Running jobs in other processes; ``base`` holds the contract."""
