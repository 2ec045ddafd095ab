"""The program: command line, settings, launching on a runner, waves, logs."""
