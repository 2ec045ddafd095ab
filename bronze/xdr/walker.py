# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# mypy: disable-error-code="valid-type, untyped-decorator"
# (the annotations are Cython's types)
"""Walks one XDR LedgerCloseMeta by the program in ``table.py``, checking every byte that can be wrong.

Plain Python that Cython compiles as it stands. The stack is explicit and its depth bounded; every count
is checked against the bytes left before anything is done with it. What the ledger's hashes are taken
over is marked, or gathered into a scratch, on the way. Compiled, the walk does not hold the GIL, and indexes
are not checked a second time: those into the input follow a comparison with the bytes left, those into the
stack one with its depth, and the program, a constant, has no target, arm or slot out of range
(``tests/bronze/xdr/test_table_fresh.py``).

The instructions are explained in ``tools/compile_xdr_table.py``.
"""

from __future__ import annotations

import array

try:
    import cython
except ImportError:
    from bronze.xdr import cython_shim as cython

from bronze.xdr import table
from bronze.xdr.trace import malformed

COMPILED: bool = cython.compiled

#: Union arms, optionals and array elements that may be open at once. A frame is at least one level of nesting
#: as stellar-core counts it; its nodes cannot read what is deeper (xdr::marshaling_stack_limit), and let no
#: transaction of more than 500 levels into a ledger, so no real ledger is refused.
MAX_DEPTH = 1500

_FIRST_SCRATCH = 65536
_FIRST_NOTES = 6 * 256


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _u32(data: cython.const[cython.uchar][::1], at: cython.Py_ssize_t) -> cython.longlong:
    """The big-endian word at `at`, where the caller has seen that there are four bytes."""
    word: cython.uint = 1
    if cython.compiled:
        is_little_endian: cython.bint = cython.cast(cython.pointer(cython.uchar), cython.address(word))[0] == 1
        # One load, and an exchange of its bytes, which compilers do not make of four loads here: a seventh of the time.
        word = cython.cast(cython.pointer(cython.const[cython.uint]), cython.address(data[at]))[0]
        if is_little_endian:
            word = word >> 24 | word >> 8 & 0xFF00 | (word & 0xFF00) << 8 | word << 24
    else:
        word = data[at] << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3]
    return word


def _words(values: tuple[int, ...]) -> array.array[int] | list[int]:
    """Memory for a typed view; interpreted, a list is quicker."""
    return array.array("q", values) if COMPILED else list(values)


@cython.cclass
class Walker:
    """Walks ledgers, one after another, with one stack and one scratch. Not to be shared by threads."""

    _program: cython.const[cython.longlong][::1]
    _stack: cython.longlong[::1]
    _marks: cython.longlong[::1]
    _scratch: cython.uchar[::1]
    _scratch_bytes: bytearray
    _used: cython.Py_ssize_t
    _notes: cython.longlong[::1]
    _noted: cython.Py_ssize_t

    def __init__(self) -> None:
        self._program = _words(table.PROGRAM)
        self._stack = _words((0,) * 3 * MAX_DEPTH)
        self._marks = _words((0,) * table.SLOTS)
        self._scratch_bytes = bytearray(_FIRST_SCRATCH)
        self._scratch = self._scratch_bytes
        self._used = 4
        self._notes = _words((0,) * _FIRST_NOTES)
        self._noted = 0

    def walk(
        self, data: cython.const[cython.uchar][::1], start: cython.Py_ssize_t, end: cython.Py_ssize_t
    ) -> tuple[int, ...]:
        """Walk the LedgerCloseMeta that begins at `start` and ends at or before `end`.

        Args:
            data: contiguous bytes; only those from `start` up to `end` are looked at.

        Returns:
            The marks: positions in `data` and counts, by the slots of ``table``. ``table.END`` is the position
            behind the ledger.

        Raises:
            XdrError: at the first byte that is wrong.
        """
        if not 0 <= start <= end <= len(data):
            raise ValueError(f"span {start}..{end} is not inside {len(data)} bytes")
        program: cython.const[cython.longlong][::1] = self._program
        stack: cython.longlong[::1] = self._stack
        marks: cython.longlong[::1] = self._marks
        pc: cython.Py_ssize_t = 1
        pos: cython.Py_ssize_t = start
        top: cython.Py_ssize_t = -3  # of the frame: (instruction to go on with, index or discriminant, limit)
        used: cython.Py_ssize_t = 4  # the scratch begins with the count of results
        room: cython.Py_ssize_t = len(self._scratch_bytes)
        limit: cython.Py_ssize_t = 3 * MAX_DEPTH - 3
        op: cython.longlong
        word: cython.longlong
        target: cython.longlong
        arm: cython.longlong
        size: cython.Py_ssize_t
        noted: cython.Py_ssize_t = 0
        notes_room: cython.Py_ssize_t = len(self._notes)
        wrong: cython.int = 0  # 1: within the lead, 2: behind it

        for size in range(table.SLOTS):
            marks[size] = 0
        with cython.nogil:
            while True:
                op = program[pc]
                if program[pc + 1] > end - pos:
                    wrong = 1
                    break
                pos += program[pc + 1]
                if op == 1:  # SWITCH
                    if end - pos < 4:
                        wrong = 2
                        break
                    word = _u32(data, pos)
                    word -= (word >> 31) << 32  # discriminants are signed
                    target = program[pc + 2]
                    arm = word - program[target]
                    if arm < 0 or arm >= program[target + 1]:
                        wrong = 2
                        break
                    target = program[target + 2 + arm]
                    if target < 0:
                        if -1 - target > end - pos - 4:
                            wrong = 2
                            break
                        pos += 3 - target
                        pc += 3
                    else:
                        if target == 0 or top >= limit:
                            wrong = 2
                            break
                        pos += 4
                        top += 3
                        stack[top] = pc + 3
                        stack[top + 1] = word
                        stack[top + 2] = word
                        pc = target
                elif op == 0:  # RETURN
                    if top < 0:
                        break
                    stack[top + 1] += 1
                    pc = stack[top]
                    if stack[top + 1] < stack[top + 2]:
                        pc = program[pc - 1]
                    else:
                        top -= 3
                elif op == 2:  # ARRAY
                    if end - pos < 4:
                        wrong = 2
                        break
                    word = _u32(data, pos)
                    if word > program[pc + 2] or word * program[pc + 3] > end - pos - 4:
                        wrong = 2
                        break
                    marks[program[pc + 4]] += word
                    pos += 4
                    pc += 6
                    if word > 0:
                        if top >= limit:
                            pos -= 4
                            pc -= 6
                            wrong = 2
                            break
                        top += 3
                        stack[top] = pc
                        stack[top + 1] = 0
                        stack[top + 2] = word
                        pc = program[pc - 1]
                elif op == 3:  # BYTES
                    if end - pos < 4:
                        wrong = 2
                        break
                    word = _u32(data, pos)
                    size = (word + 3) & ~3
                    if word > program[pc + 2] or size > end - pos - 4:
                        wrong = 2
                        break
                    if size > word and _u32(data, pos + size) & ((1 << 8 * (size - word)) - 1):
                        wrong = 2
                        break
                    pos += 4 + size
                    pc += 3
                elif op == 4:  # MARK
                    marks[program[pc + 2]] = pos
                    pc += 3
                elif op == 6:  # NOTE
                    target = program[pc + 2]
                    if marks[target] > 0:
                        size = program[pc + 3]
                        if noted + size > notes_room:
                            with cython.gil:
                                self._grow_notes()
                                notes_room = len(self._notes)
                        for arm in range(size):
                            self._notes[noted + arm] = marks[target + arm]
                        noted += size
                        marks[target] = 0
                    pc += 4
                else:  # COPY
                    size = pos - marks[program[pc + 2]]
                    if used + size > room:
                        with cython.gil:
                            self._grow(used, size)
                            room = len(self._scratch_bytes)
                    self._scratch[used : used + size] = data[pos - size : pos]
                    used += size
                    pc += 3

        if wrong:
            frames = [(stack[at], stack[at + 1], stack[at + 2]) for at in range(0, top + 3, 3)]
            raise malformed(data, end, pos, pc, frames, wrong == 1)
        self._used = used
        self._noted = noted
        self._scratch_bytes[:4] = int(marks[table.RESULT_COUNT]).to_bytes(4, "big")
        marks[table.END] = pos
        return tuple(marks)

    def results(self) -> memoryview:
        """XDR of the last walk's result pairs in apply order, after their count: what txSetResultHash is taken over.

        A view of the scratch, which the next walk overwrites.
        """
        return memoryview(self._scratch_bytes)[: self._used]

    def notes(self) -> list[int]:
        """The marks that the last walk noted, one contract invocation after the other (`table.SUCCESS` and on)."""
        return list(self._notes[: self._noted])

    def _grow_notes(self) -> None:
        """Make room for more notes. Each is of a transaction in the input, whose size bounds them."""
        self._notes = _words(tuple(self._notes) + (0,) * len(self._notes))

    def _grow(self, used: cython.Py_ssize_t, size: cython.Py_ssize_t) -> None:
        """Make room in the scratch. Result pairs are disjoint parts of the input, so twice its size bounds it."""
        self._scratch_bytes = self._scratch_bytes[:used] + bytes(max(used, size) + size)
        self._scratch = self._scratch_bytes
