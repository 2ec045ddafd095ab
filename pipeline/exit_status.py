"""Exit statuses of the command line."""

#: Everything was done.
DONE = 0
#: Something was left undone or does not hold; the last lines say what and why.
UNDONE = 1
#: The configuration or the command line is wrong.
USAGE = 2
#: Something that was to be checked could not be: it cannot be reached or read. What could be checked holds.
UNCHECKED = 3
