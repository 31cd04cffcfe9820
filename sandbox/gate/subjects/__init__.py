"""What data subjects' rights ask of the gate: whose voice went where, and what ends with a consent."""
