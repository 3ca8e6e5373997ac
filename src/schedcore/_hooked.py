"""The part of a scheduler that is told whom to call when something ended well, or did not."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from schedcore._jobs import Hook, check_hook

if TYPE_CHECKING:
    from schedcore._hooks import Hooks
    from schedcore._observers import Observers

H = TypeVar("H", bound=Hook)


class Hooked:
    """Decorators for functions that are called with a line of history, of whatever job.

    They are called by the replica that wrote the line, once it is written, and by no other; if that replica
    dies just then, by none. They run on a thread of their own, coroutines where the coroutine jobs run.
    """

    _hooks: Hooks
    _observers: Observers

    def on_success(self, hook: H) -> H:
        """Have `hook` called when a run succeeded."""
        return self._add_hook("on_success", hook)

    def on_failure(self, hook: H) -> H:
        """Have `hook` called when a run failed or timed out, after its last attempt."""
        return self._add_hook("on_failure", hook)

    def on_missed(self, hook: H) -> H:
        """Have `hook` called when scheduled times were missed."""
        return self._add_hook("on_missed", hook)

    def on_dead(self, hook: H) -> H:
        """Have `hook` called when a trigger was given up: it is dead or lost."""
        return self._add_hook("on_dead", hook)

    def _add_hook(self, name: str, hook: H) -> H:
        self._hooks.add(name, check_hook(f"a hook {name}", hook))
        self._listen()
        return hook

    def _listen(self) -> None:
        """From the first hook on, hear of what happens."""
        if self._hooks not in self._observers.all:
            self._observers.add(self._hooks)
