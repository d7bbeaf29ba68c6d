"""The warehouse: SQLMesh models from source tables to audited feature and label tables, and their publication.

Submodules import SQLMesh, which takes seconds; import them where they are used.
"""
