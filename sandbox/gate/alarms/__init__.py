"""What a person must know at once: rules over the log and Vault's audit file, alerts and their ways out."""
