"""Addresses of this room."""

from django.urls import path

from webapp.cases.views import batches, case, find, images, new_batch, patient, review, uploads

app_name = "cases"
urlpatterns = [
    path("find/", find.find, name="find"),
    path("review/", review.to_review, name="to_review"),
    path("review/seen-to/", review.seen_to, name="seen_to"),
    path("batches/", batches.batches, name="batches"),
    path("batches/new/", new_batch.batch_new, name="batch_new"),
    path("batches/<uuid:batch_id>/", batches.batch, name="batch"),
    path("batches/<uuid:batch_id>/progress/", batches.batch_progress, name="batch_progress"),
    path("batches/<uuid:batch_id>/files/", new_batch.batch_files, name="batch_files"),
    path("batches/<uuid:batch_id>/submit/", batches.submit, name="batch_submit"),
    path("batches/<uuid:batch_id>/cancel/", batches.cancel, name="batch_cancel"),
    path("batches/<uuid:batch_id>/rerun/", batches.again, {"what": "failed"}, name="batch_rerun"),
    path("batches/<uuid:batch_id>/rescore/", batches.again, {"what": "newer"}, name="batch_rescore"),
    path("cases/<uuid:case_id>/", case.case, name="case"),
    path("cases/<uuid:case_id>/release/", case.release, name="case_release"),
    path("cases/<uuid:case_id>/looked-again/", case.looked_again, name="case_look_again"),
    path("cases/<uuid:case_id>/training-consent/", case.training_consent, name="case_training_consent"),
    path("cases/<uuid:case_id>/patient/", patient.patient, name="case_patient"),
    path("cases/<uuid:case_id>/another-link/", patient.another_link, name="case_another_link"),
    path("cases/<uuid:case_id>/lock-seen/", patient.lock_seen, name="case_lock_seen"),
    path("cases/<uuid:case_id>/photos/delete/", case.delete, name="case_photos_delete"),
    path("cases/<uuid:case_id>/erase/", case.erase, name="case_erase"),
    path("images/<uuid:image_id>/override/", batches.override, name="image_override"),
    path("images/<uuid:image_id>/another/", batches.another_file, name="image_another"),
    path("images/<uuid:image_id>/<str:kind>/", images.image_file, name="image_file"),
    path("uploads/<str:token>", uploads.put_upload, name="put_upload"),
]
