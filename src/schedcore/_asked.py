"""What people ask for, checked before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Collection

from schedcore._state import JobState
from schedcore.errors import ConfigurationError
from schedcore.protocols import Row, Status

PAYLOAD_LIMIT = 64 * 1024


def statuses(words: Collection[str]) -> list[Status]:
    unknown = [word for word in words if word not in list(Status)]
    if unknown:
        raise ConfigurationError(f"{unknown[0]!r} is no status; there are {', '.join(Status)}")
    return [Status(word) for word in words]


def name(job: object) -> str:
    if not isinstance(job, str):
        raise ConfigurationError(f"a job is asked for by its name, a string, not {job!r}")
    if not job:  # which would be the app's own row
        raise ConfigurationError("a job's name is not empty; jobs() and schedcore jobs list them")
    if not job.isprintable():  # nor has any job's; half a character could not even be sent
        raise ConfigurationError(f"no job is named {job!r:.80}; jobs() and schedcore jobs list them")
    return job


def readable(row: Row) -> None:
    if not isinstance(row.data, JobState):
        raise ConfigurationError(
            f"the row of {row.job} cannot be read: a later release of schedcore wrote it, or it is spoilt; "
            "ask with the release that the replicas have (schedcore replicas tells)"
        )


def key_of(key: object) -> str:
    if not isinstance(key, str) or not 1 <= len(key) <= 200:
        raise ConfigurationError(f"a key is a string of 1 to 200 characters, not {key!r:.80}")
    try:
        key.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(f"a key is text that UTF-8 can write, and {key!r:.80} is not") from None
    return key


def limit(lines: object) -> int:
    if not isinstance(lines, int) or lines < 1:
        raise ConfigurationError(f"limit is a number of lines, 1 or more, not {lines!r}")
    return lines


def payload(content: object) -> str | None:
    if content is None:
        return None
    try:
        text = json.dumps(content, allow_nan=False)
    except (TypeError, ValueError) as exc:
        raise ConfigurationError(f"a payload must be JSON: {exc}") from exc
    if len(text.encode()) > PAYLOAD_LIMIT:
        raise ConfigurationError(
            f"a payload may have {PAYLOAD_LIMIT} bytes as JSON, not {len(text.encode())}"
        )
    return text
