"""One run, from its grant to its last proof: launched, talked to, watched, settled, resumed."""
