"""What must not be forgotten or rewritten: the log, statements, privacy budgets, and their marks in Vault."""
