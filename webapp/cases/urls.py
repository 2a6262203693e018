"""Addresses of this room."""

from django.urls import path

from webapp.cases import case_views, find_views, image_views, new_batch_views, patient_views, review_views, views
from webapp.cases.upload_views import put_upload

app_name = "cases"
urlpatterns = [
    path("find/", find_views.find, name="find"),
    path("review/", review_views.to_review, name="to_review"),
    path("review/seen-to/", review_views.seen_to, name="seen_to"),
    path("batches/", views.batches, name="batches"),
    path("batches/new/", new_batch_views.batch_new, name="batch_new"),
    path("batches/<uuid:batch_id>/", views.batch, name="batch"),
    path("batches/<uuid:batch_id>/progress/", views.batch_progress, name="batch_progress"),
    path("batches/<uuid:batch_id>/files/", new_batch_views.batch_files, name="batch_files"),
    path("batches/<uuid:batch_id>/submit/", views.submit, name="batch_submit"),
    path("batches/<uuid:batch_id>/cancel/", views.cancel, name="batch_cancel"),
    path("batches/<uuid:batch_id>/rerun/", views.again, {"what": "failed"}, name="batch_rerun"),
    path("batches/<uuid:batch_id>/rescore/", views.again, {"what": "newer"}, name="batch_rescore"),
    path("cases/<uuid:case_id>/", case_views.case, name="case"),
    path("cases/<uuid:case_id>/release/", case_views.release, name="case_release"),
    path("cases/<uuid:case_id>/looked-again/", case_views.looked_again, name="case_look_again"),
    path("cases/<uuid:case_id>/training-consent/", case_views.training_consent, name="case_training_consent"),
    path("cases/<uuid:case_id>/patient/", patient_views.patient, name="case_patient"),
    path("cases/<uuid:case_id>/another-link/", patient_views.another_link, name="case_another_link"),
    path("cases/<uuid:case_id>/lock-seen/", patient_views.lock_seen, name="case_lock_seen"),
    path("cases/<uuid:case_id>/photos/delete/", case_views.delete, name="case_photos_delete"),
    path("cases/<uuid:case_id>/erase/", case_views.erase, name="case_erase"),
    path("images/<uuid:image_id>/override/", views.override, name="image_override"),
    path("images/<uuid:image_id>/another/", views.another_file, name="image_another"),
    path("images/<uuid:image_id>/<str:kind>/", image_views.image_file, name="image_file"),
    path("uploads/<str:token>", put_upload, name="put_upload"),
]
