"""The servers that tests start: that they come, go, and do what tests rely on."""

from tests.redis.servers import RedisServer


def test_a_server_answers_over_tcp_and_over_its_socket(redis_server: RedisServer) -> None:
    """Both addresses lead to the same server."""
    assert redis_server.cli("PING")
