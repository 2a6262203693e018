"""What a release is worth beyond its headline: sets of classes with a promised coverage, pictures that are no lesion,
poor photos, artefacts, subgroups, and the plots and the report that show them.

Every function takes arrays or pictures, so that it does not matter how the answers were computed.
"""
