from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models.functions import Collate, Upper


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("cases", "0030_again_in_turn"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="case",
            index=models.Index(
                models.F("organisation"),
                Collate(Upper("external_id"), "C"),
                models.OrderBy(models.F("created_at"), descending=True),
                models.F("id"),
                name="case_called",
            ),
        ),
    ]
