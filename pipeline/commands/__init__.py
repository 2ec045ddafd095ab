"""The commands of the program, one module each, such as ``run`` and ``verify``; all are in `program.COMMANDS`.

A command's module has `DESCRIPTION`, `EXAMPLES` and `EXIT_STATUS` (its help text), `OPTIONS` and
`run(options) -> int`, which returns an exit status (`pipeline.exit_status`). It says what is done in which order and
prints the result; how it is done belongs to `pipeline.launch` and below. `program` imports a command's module
when that command is called, so these modules import what is slow inside `run`.

Beside them: `program` (finds and runs the command), `options` (how options are declared), `output` (printing),
`configured` (arguments and settings of the commands that take a configuration) and `text` (what they
print).
"""

__all__ = ()
