"""What SQLMesh's own command line reads: `sqlmesh --paths <this folder> plan dev`."""

from pipelines.warehouse.build import source_end
from pipelines.warehouse.project_config import project_config
from pipelines.warehouse.settings import WarehouseSettings, offers_home

_settings = WarehouseSettings.from_env(home=offers_home(), snapshot_end=source_end(offers_home()))
config = project_config(_settings, _settings.database)
