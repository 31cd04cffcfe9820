"""What recipes import, and the program that runs them: the trainer's half of the container. The only home of torch."""
