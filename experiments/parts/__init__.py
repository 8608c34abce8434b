"""What the commands are made of, beside experiments.cli; none of it is a command of its own."""
