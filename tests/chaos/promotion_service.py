"""The real service in a process of its own, over a feature store in memory: `promotion_service.py`."""

from functools import partial

import uvicorn
from promotion_models import open_reader

from hourly_rate import SERVICE
from serving import Settings, create_app
from serving.lifecycle import follow_registry
from serving.run import configure_logging

if __name__ == "__main__":
    settings = Settings()
    assert settings.port
    configure_logging(SERVICE.name, settings.log_level)
    app = create_app(SERVICE, settings, open_models=partial(follow_registry, open_reader=open_reader))
    uvicorn.run(
        app, host=settings.host, port=settings.port, loop="uvloop", http="httptools", access_log=False, log_config=None
    )
