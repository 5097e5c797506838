"""The command line: options in, a library call, output; the only room that prints and exits."""
