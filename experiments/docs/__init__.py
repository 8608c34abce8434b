"""The site, and what is on it: a page per op, the names of all packages, the lectures."""
