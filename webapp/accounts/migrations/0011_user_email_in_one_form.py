from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0010_addresses_in_one_form"),
    ]

    operations = [
        # Not asked of the rows that are there: what could not be brought to one form is nobody's who reads letters.
        AddConstraintNotValid(
            model_name="user",
            constraint=models.CheckConstraint(
                condition=models.Q(("email__regex", r"^[\u0001-@\[-\u007f]*$")), name="user_email_in_one_form"
            ),
        ),
    ]
