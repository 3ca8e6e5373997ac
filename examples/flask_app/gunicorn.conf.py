"""Each worker starts and stops the scheduler itself, so that none is forked off a started one."""

workers = 3
graceful_timeout = 30  # longer than the scheduler's drain of 20 s


def post_worker_init(worker):
    from app import scheduler

    scheduler.start()


def worker_exit(server, worker):
    from app import scheduler

    scheduler.stop()
