"""Validates a bag with PyPI's bagit, as whoever is handed it would."""

import logging
import sys

import bagit

logging.basicConfig(level=logging.ERROR)
bag = bagit.Bag(sys.argv[1])
bag.validate(processes=1)
print("valid: %d files" % len(list(bag.payload_files())))
