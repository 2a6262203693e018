import uuid

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

# Of a thousand results at a time, and indexes beside them: the version before goes on meanwhile.
STEP = 1000
FILL = """
UPDATE inference_result result
SET organisation_id = image.organisation_id, doubt = CASE WHEN settled.id IS NULL AND image.state = 'ready' THEN
    least(
        abs(result.malignant - (release.manifest #>> '{thresholds,urgent_referral}')::float),
        abs(result.malignant - (release.manifest #>> '{thresholds,routine_referral}')::float)
    ) - coalesce(result.uncertainty, 0)
END
FROM registry_modelrelease release, cases_image image
LEFT JOIN labels_consensus settled ON settled.image_id = image.id
WHERE image.id = result.image_id AND release.id = result.release_id AND result.id >= %s AND result.id < %s
"""


def fill(apps, editor):
    with editor.connection.cursor() as cursor:
        cursor.execute("SELECT min(id), max(id) FROM inference_result")
        first, last = cursor.fetchone()
        for start in range(first or 0, (last or -1) + 1, STEP):
            cursor.execute(FILL, [start, start + STEP])


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('inference', '0007_to_be_labelled'),
    ]

    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
        AddIndexConcurrently(
            model_name='result',
            index=models.Index(condition=models.Q(('doubt__isnull', False), ('image__gte', uuid.UUID('40000000-0000-0000-0000-000000000000'))), fields=['organisation', 'doubt'], name='result_in_doubt'),
        ),
        AddIndexConcurrently(
            model_name='result',
            index=models.Index(condition=models.Q(('doubt__isnull', False), ('image__lt', uuid.UUID('40000000-0000-0000-0000-000000000000'))), fields=['organisation', 'image'], name='result_drawn'),
        ),
    ]
