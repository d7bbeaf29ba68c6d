"""What SQLMesh's own command line reads: `sqlmesh --paths <this folder> plan dev`."""

from pipelines.warehouse.project_config import project_config
from pipelines.warehouse.source_end import current_settings

_settings = current_settings()
config = project_config(_settings, _settings.database)
