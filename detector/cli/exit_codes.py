"""The exit codes of the program, for a script that calls it."""

from __future__ import annotations

#: 0: all went well. 1: it could not be done. 2: wrong use of the command line (click's own).
#: 3: it was done, but something of the input could not be read or used; the messages say what.
#: 130: interrupted.
EXIT_FAILED = 1
EXIT_INCOMPLETE = 3
EXIT_INTERRUPTED = 130
