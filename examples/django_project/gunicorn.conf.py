"""Each worker starts and stops the scheduler itself; or leave both out, and run `manage.py runscheduler`."""

workers = 3
graceful_timeout = 30  # longer than the scheduler's drain of 20 s


def post_worker_init(worker):
    from schedcore.django import scheduler

    scheduler.start()


def worker_exit(server, worker):
    from schedcore.django import scheduler

    scheduler.stop()
