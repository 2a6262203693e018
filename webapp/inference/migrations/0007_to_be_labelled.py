import django.db.models.deletion
import uuid
from django.db import migrations, models

FILL = """
UPDATE inference_result result
SET organisation_id = image.organisation_id, doubt = CASE WHEN settled.id IS NULL THEN
    least(
        abs(result.malignant - (release.manifest #>> '{thresholds,urgent_referral}')::float),
        abs(result.malignant - (release.manifest #>> '{thresholds,routine_referral}')::float)
    ) - coalesce(result.uncertainty, 0)
END
FROM registry_modelrelease release, cases_image image
LEFT JOIN labels_consensus settled ON settled.image_id = image.id
WHERE image.id = result.image_id AND release.id = result.release_id
"""


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0006_address_that_the_clinic_knows'),
        ('inference', '0006_one_member'),
        ('labels', '0003_settled_by'),
    ]

    operations = [
        migrations.AddField(
            model_name='result',
            name='doubt',
            field=models.FloatField(help_text='As `answers.doubt_of` gives it; null once labels settled the image', null=True),
        ),
        migrations.AddField(
            model_name='result',
            name='organisation',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.organisation'),
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name='result',
            name='organisation',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.organisation'),
        ),
        migrations.AddIndex(
            model_name='result',
            index=models.Index(condition=models.Q(('doubt__isnull', False), ('image__gte', uuid.UUID('40000000-0000-0000-0000-000000000000'))), fields=['organisation', 'doubt'], name='result_in_doubt'),
        ),
        migrations.AddIndex(
            model_name='result',
            index=models.Index(condition=models.Q(('doubt__isnull', False), ('image__lt', uuid.UUID('40000000-0000-0000-0000-000000000000'))), fields=['organisation', 'image'], name='result_drawn'),
        ),
    ]
