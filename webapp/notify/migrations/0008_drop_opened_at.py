from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('notify', '0007_case_raised'),
    ]

    operations = [
        migrations.RunSQL("ALTER TABLE notify_resultlink DROP COLUMN IF EXISTS opened_at", migrations.RunSQL.noop),
    ]
