"""The commands of the program, one module each: ``run``, ``plan``, ``verify``, ``deliver``, ``repair``, ``clean``,
``sample``.

A command's module has `DESCRIPTION` and `EXIT_STATUS` (its help text), `add_arguments(parser)` and
`run(options) -> int`, which returns an exit status (`pipeline.exit_status`). It says what is done in which order and
prints the result; how it is done belongs to `pipeline.launch` and below. `pipeline.main` imports a command's module
when that command is called, so these modules import what is slow inside `run`.

Beside them: `configured` (arguments and settings of the commands that take a configuration) and `text` (what they
print).
"""

__all__ = ()
