"""Who uses LesionLens: people, the organisations they belong to, patients, and the keys of clinics' software."""

import uuid
from datetime import timedelta

from django.contrib.auth.base_user import BaseUserManager
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Collate, Lower, Upper
from django.utils import timezone

from webapp.addresses import in_one_form

CALLED = Collate(Upper("external_id"), "C")
"""A clinic's own id as it is searched for: in capitals, and in the order of an index that is read by how ids begin,
where a whole one comes before those that begin with it.
"""


class UserManager(BaseUserManager["User"]):
    """Makes users that are known by their e-mail address."""

    def create_user(self, email: str, password: str | None = None, **fields: object) -> "User":
        user = self.model(email=in_one_form(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: object) -> "User":
        """Raises ValidationError where the address has an account: whoever made that would have the rights."""
        if self.filter(email=in_one_form(email)).exists():
            raise ValidationError(
                "There is an account of this address already. Begin again with another; or let an administrator give "
                "that account rights, on its page in the administration."
            )
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractUser):
    """A person who can sign in, known by e-mail address."""

    username = None  # type: ignore[assignment]
    email = models.EmailField("e-mail address")

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = []
    objects = UserManager()  # type: ignore[misc,assignment]

    class Meta(AbstractUser.Meta):
        constraints = [
            models.UniqueConstraint(Lower("email"), name="user_email_unique"),
            # Small ASCII letters alone: these are the same to every rule by which two could be compared.
            models.CheckConstraint(
                condition=models.Q(email__regex=r"^[\u0001-@\[-\u007f]*$"), name="user_email_in_one_form"
            ),
        ]

    @property
    def role(self) -> str:
        """The person's role in their organisation; without one, `administrator` of the site, or `patient`."""
        if hasattr(self, "membership"):
            return self.membership.role
        return "administrator" if self.is_superuser else "patient"

    @property
    def works_here(self) -> bool:
        """Whether the person is staff: of an organisation, or of the site."""
        return self.role != "patient" or self.is_staff


class Organisation(models.Model):
    """A clinic or a group of clinics: the tenant that owns cases."""

    class ReleasePolicy(models.TextChoices):
        MANUAL = "manual", "A clinician reviews and releases each result"
        AUTOMATIC = "automatic", "Results are released to patients as they arrive"

    name = models.CharField(max_length=200)
    slug = models.SlugField(
        unique=True, help_text="At the end of the address that the clinic gives its patients, after /join/"
    )
    release_policy = models.CharField(max_length=10, choices=ReleasePolicy, default=ReleasePolicy.MANUAL)
    help_phone = models.CharField(max_length=40, blank=True, help_text="Shown to patients who need help now")
    contact_email = models.EmailField(
        blank=True,
        help_text="Told when a patient's photo waits for review, and when a batch of the clinic's software is complete",
    )
    weight = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="How many images it has at each turn of bulk work, where most have one",
    )
    images_a_day = models.PositiveIntegerField(
        null=True, blank=True, help_text="Images that it may send in 24 hours; empty: no limit"
    )
    images_queued = models.PositiveIntegerField(
        null=True, blank=True, help_text="Images that it may have in the queue at once; empty: no limit"
    )
    requests_a_minute = models.PositiveIntegerField(
        null=True, blank=True, help_text="Of all its API clients together; empty: only the limit of each client"
    )
    retention_days = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Photos that were checked longer ago are deleted for good, and their results stay. "
        "Empty: photos are kept until somebody deletes them",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(weight__gte=1, weight__lte=100), name="organisation_weight"),
            models.CheckConstraint(
                condition=models.Q(retention_days=None) | models.Q(retention_days__gte=1),
                name="organisation_retention_days",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A person's place in an organisation. A person belongs to one organisation at most."""

    class Role(models.TextChoices):
        PROVIDER = "provider", "Provider"
        ANNOTATOR = "annotator", "Annotator"
        OPERATOR = "operator", "Operator"

    user = models.OneToOneField(User, models.CASCADE, related_name="membership")
    organisation = models.ForeignKey(Organisation, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(role__in=["provider", "annotator", "operator"]), name="membership_role_known"
            )
        ]

    def __str__(self) -> str:
        return f"{self.role} of organisation {self.organisation_id}"


class Patient(models.Model):
    """A person whose skin is looked at, as one organisation knows them. May or may not sign in."""

    UNNAMED = "unnamed-"  # before the id of one whom the organisation did not name

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey(Organisation, models.PROTECT, related_name="patients")
    external_id = models.CharField(max_length=100, help_text="The organisation's own identifier")
    user = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="patients")
    email = models.EmailField(blank=True)
    clinics_email = models.EmailField(
        blank=True, db_default="", help_text="What the organisation calls it, where the person has chosen another since"
    )
    date_of_birth = models.DateField(null=True, blank=True)
    consented_at = models.DateTimeField(null=True, blank=True, help_text="When the person agreed to the intended use")
    training_consent = models.BooleanField(
        default=True, db_default=True, help_text="Whether models may learn from their photos, which are then labelled"
    )
    training_said_at = models.DateTimeField(
        null=True, blank=True, help_text="When that was said last; null: nobody has"
    )
    wrong_dates = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="How many accounts of this address have said another date of birth"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "external_id"], name="patient_unique_in_organisation"),
            models.UniqueConstraint(
                fields=["organisation", "user"], condition=models.Q(user__isnull=False), name="patient_user_unique"
            ),
        ]
        indexes = [
            models.Index("organisation", CALLED, name="patient_called"),
            models.Index("organisation", Lower("email"), name="patient_reached", condition=~models.Q(email="")),
            models.Index(
                "organisation",
                Lower("clinics_email"),
                name="patient_clinics_email",
                condition=~models.Q(clinics_email=""),
            ),
        ]

    def __str__(self) -> str:
        return f"patient {self.id}"

    @property
    def is_named(self) -> bool:
        """Whether the id says who this is."""
        return not self.external_id.startswith(self.UNNAMED)

    @property
    def chooses_address(self) -> bool:
        """Whether the e-mail address is that of the person's own account."""
        return self.user_id is not None and bool(self.email)


class ApiKey(models.Model):
    """A key of a clinic's software. The secret is shown once; only its SHA-256 is kept (it has 256 random bits)."""

    ENDS_SOON = timedelta(days=14)

    organisation = models.ForeignKey(Organisation, models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12, unique=True)
    secret_sha256 = models.CharField(max_length=64)
    reads_only = models.BooleanField(default=False, db_default=False)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: it works until somebody revokes it")
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def is_expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def expires_soon(self) -> bool:
        """Whether its time is over within two weeks, so that another should take its place now."""
        return self.expires_at is not None and self.expires_at <= timezone.now() + self.ENDS_SOON

    @property
    def is_looked_after(self) -> bool:
        """Whether who made it is still a provider of its organisation."""
        maker = self.created_by
        return (
            maker is not None
            and maker.is_active
            and maker.role == Membership.Role.PROVIDER
            and maker.membership.organisation_id == self.organisation_id
        )
