"""What `python -m deploy.local supervise` does, over specs from a file: HOME SPECS."""

import sys
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).parents[3]))

from deploy.local.pid_lock import LockHeldError
from deploy.local.process_spec import ProcessSpec
from deploy.local.supervisor import Supervisor

if __name__ == "__main__":
    home, specs_file = map(Path, sys.argv[1:])
    try:
        Supervisor(msgspec.json.decode(specs_file.read_bytes(), type=list[ProcessSpec]), home).run()
    except LockHeldError as error:
        sys.exit(str(error))
