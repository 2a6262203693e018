from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("cases", "0013_ids_in_one_form"),
    ]

    operations = [
        migrations.AddField(
            model_name="archive",
            name="stored_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.RunSQL(
            "UPDATE cases_archive SET stored_at = created_at WHERE state = 'stored'", migrations.RunSQL.noop
        ),
    ]
