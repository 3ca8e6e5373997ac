from django.db import models


class Report(models.Model):
    process = models.IntegerField()
    scheduled_at = models.DateTimeField()
