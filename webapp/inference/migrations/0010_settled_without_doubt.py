from django.db import migrations

SETTLED = """
UPDATE inference_result result SET doubt = NULL
FROM labels_consensus settled
WHERE settled.image_id = result.image_id AND result.doubt IS NOT NULL
"""


class Migration(migrations.Migration):

    dependencies = [
        ('inference', '0009_stamped_by_the_database'),
        ('labels', '0003_settled_by'),
    ]

    operations = [migrations.RunSQL(SETTLED, migrations.RunSQL.noop)]
