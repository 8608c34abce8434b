"""What the commands are made of: an idea a file. None of it is a command of its own."""
