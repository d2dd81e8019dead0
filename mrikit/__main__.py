"""`python -m mrikit` is `mrikit`."""

import sys

from mrikit.cli.app import main

sys.exit(main())
