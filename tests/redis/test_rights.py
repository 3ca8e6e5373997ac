"""What a user of Redis must be allowed, and what is seen where a right or the password is wrong."""

import asyncio
import logging
import re
import time
from collections.abc import Callable

import pytest
from redis.exceptions import RedisError
from tests.redis.rights import add_user, do_everything, documented_rights, refused
from tests.redis.servers import RedisServer, until
from tests.redis.world import RedisWorld

from schedcore import Scheduler, StoreUnavailableError

pytestmark = pytest.mark.topology("acl")


def test_the_documented_rights_suffice_and_none_is_too_many(redis_server: RedisServer) -> None:
    """With all of them nothing is refused; without any one of them something is."""
    rights = documented_rights()
    assert play(redis_server, rights) == set()
    for right in rights:
        missing = right.removeprefix("+").partition("|")[0]
        assert missing in play(redis_server, [other for other in rights if other != right]), right


def play(server: RedisServer, rights: list[str]) -> set[str]:
    """Do everything as a user with these rights; what was refused."""
    world = RedisWorld("", server.url)
    world.url = add_user(server, world.app, rights)
    server.cli("SCRIPT", "FLUSH")
    refused(server)
    try:
        try:
            asyncio.run(do_everything(world, server))
        except (RedisError, AssertionError, ValueError):
            if (names := refused(server)) == set():
                raise
            return names
        return refused(server)
    finally:
        server.cli("ACL", "DELUSER", f"user-{world.app}")


def test_a_scheduler_lives_with_the_documented_rights(redis_server: RedisServer, app_name: str) -> None:
    """It starts, fires, runs, pauses, tells and stops, and nothing is refused."""
    url = add_user(redis_server, app_name, documented_rights())
    refused(redis_server)
    scheduler = Scheduler(app_name, backend="redis", url=url)
    scheduler.add_job("tick", "@every 200ms", lambda: None, overlap="allow")
    with scheduler:
        ask = scheduler.blocking
        assert ask.trigger("tick", wait=True, timeout=20).outcome == "succeeded"
        until(lambda: ask.jobs(["tick"])[0].counters.get("succeeded"))
        ask.pause("tick")
        assert ask.jobs()[0].state == "paused"
        ask.resume("tick")
        assert ask.history("tick")
        assert ask.health().connected
        ask.remove_job("tick")
    assert refused(redis_server) == set()


def wrong_password(server: RedisServer, app: str) -> str:
    """A user whose password is another."""
    return add_user(server, app, documented_rights()).replace("pass%3A", "secret%3A")


def no_rights(server: RedisServer, app: str) -> str:
    """A user who may do nothing."""
    return add_user(server, app, ["+ping"])


def other_keys(server: RedisServer, app: str) -> str:
    """The user of another app."""
    return add_user(server, f"{app}-other", documented_rights())


def no_password(server: RedisServer, app: str) -> str:
    """A user that the server does not let in without one."""
    return add_user(server, app, documented_rights()).replace(":pass%3Aw%2Frd@", "@")


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        (wrong_password, "AuthenticationError: .*password"),
        (no_rights, "NoPermissionError: .*'info' command.*; ACL LOG on the server names"),
        (other_keys, "NoPermissionError: .*key.*; ACL LOG on the server names"),
        (no_password, "AuthenticationError|NoPermissionError"),
    ],
)
def test_whoever_is_not_let_in_is_told_why(
    redis_server: RedisServer,
    app_name: str,
    caplog: pytest.LogCaptureFixture,
    user: Callable[[RedisServer, str], str],
    reason: str,
) -> None:
    """A question fails with the reason; the engine says it once, goes on trying, and can be stopped."""
    scheduler = Scheduler(app_name, backend="redis", url=user(redis_server, app_name))
    scheduler.add_job("a", "@every 1h", lambda: None)
    with pytest.raises(StoreUnavailableError, match=reason) as raised:
        scheduler.blocking.trigger("a")
    with scheduler:
        time.sleep(0.7)
        assert not scheduler.blocking.health().connected
    (away,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert re.search(reason, away.getMessage())
    assert "w/rd" not in f"{raised.value} {caplog.text}"
    assert "w%2Frd" not in f"{raised.value} {caplog.text}"


def test_an_app_whose_user_is_given_the_right_goes_on(
    redis_server: RedisServer, app_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What a script may not do is said, with where to look; once it may, nothing need be restarted."""
    rights = documented_rights()
    url = add_user(redis_server, app_name, [right for right in rights if right != "+zadd"])
    scheduler = Scheduler(app_name, backend="redis", url=url)
    scheduler.add_job("a", "@every 1h", lambda: None)
    with scheduler:
        until(lambda: "ACL LOG on the server names" in caplog.text)
        assert "NoPermissionError: " in caplog.text
        redis_server.cli("ACL", "SETUSER", f"user-{app_name}", "+zadd")
        until(lambda: scheduler.blocking.health().running)
        assert scheduler.blocking.trigger("a", wait=True, timeout=20).outcome == "succeeded"
