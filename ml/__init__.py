"""The science of LesionLens: imaging, data, training, evaluation, bundles and the runtime. Knows no Django and no
Celery.
"""
