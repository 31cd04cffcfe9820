"""What a decision rests on and how it is made: registers, recipes, images, facts, admission."""
