import os

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from orders.models import Report
from schedcore.django import scheduler


def index(request: HttpRequest) -> JsonResponse:
    health = scheduler.blocking.health()
    return JsonResponse(
        {"process": os.getpid(), "scheduling": health.running, "reports": Report.objects.count()}
    )


@csrf_exempt  # for an example that is asked by curl
@require_POST
def report_now(request: HttpRequest) -> JsonResponse:
    triggered = scheduler.blocking.trigger("report", wait=True, timeout=20)
    return JsonResponse({"outcome": triggered.outcome})
