"""Bytes for what a backend keeps: rows, triggers, lines of history, and plain JSON values.

What is written is a JSON object on one line that begins with `{"format":1,`. What follows the number
belongs to that format: one with a higher number is loaded as `Unknown` without a look at it, and so is a
type, or a word where a choice is made by it, that this release does not know. Unknown fields of rows and
triggers are kept, and written again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import NoReturn

import attrs

from schedcore._decoding import PLAIN_TRIGGER, READERS, LaterError, plain_trigger
from schedcore._encoding import WRITERS, Fields, encode
from schedcore.errors import CodecError

__all__ = ["FORMAT", "CodecError", "Unknown", "dump", "load"]

FORMAT = 1

_HEAD = b'{"format":1,'
_ANY_HEAD = re.compile(rb'\{"format":([0-9]{1,9})[,}]')


@attrs.frozen
class Unknown:
    """What a later release wrote; written again, it is what it was."""

    raw: bytes


def dump(value: object) -> bytes:
    """Write a row's data, a trigger, a line of history or a JSON value.

    Raises:
        CodecError: it is none of these.
    """
    if isinstance(value, Unknown):
        return value.raw
    try:
        write = WRITERS.get(type(value))
        text = '"type":"plain","value":' + encode(value) if write is None else write(value)
    except (TypeError, ValueError, RecursionError) as exc:
        raise CodecError(f"a {type(value).__name__} cannot be kept in the store: {exc}") from exc
    return b"%b%b}" % (_HEAD, text.encode("ascii"))


def load(data: bytes) -> object:
    """Read what `dump` wrote; `Unknown` for what a later release did.

    Raises:
        CodecError: these are no such bytes.
    """
    if not data.startswith(_HEAD):
        return _not_ours(data)
    try:
        if plain := PLAIN_TRIGGER.fullmatch(data):
            return plain_trigger(plain)
        fields = _decode(data.decode("ascii"))
        kind = fields.pop("type")
        del fields["format"]
        read = READERS.get(kind)
        return Unknown(data) if read is None else read(fields)
    except LaterError:
        return Unknown(data)
    except KeyError as exc:
        raise _unreadable(data, f"the field {exc} is missing") from None
    except (TypeError, ValueError, AttributeError, RecursionError) as exc:
        raise _unreadable(data, str(exc)) from exc


def _not_ours(data: bytes) -> Unknown:
    later = _ANY_HEAD.match(data)
    if later is None:
        raise _unreadable(data, 'they do not begin with {"format":NUMBER')
    if int(later[1]) < FORMAT:
        raise _unreadable(data, f"there is no format {int(later[1])}")
    return Unknown(data)


def _unreadable(data: bytes, problem: str) -> CodecError:
    shown = repr(data if len(data) <= 80 else data[:77] + b"...")
    return CodecError(f"these bytes of the store cannot be read: {problem}: {shown}")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


_decode: Callable[[str], Fields] = json.JSONDecoder(parse_constant=_refuse).decode
