"""Files and pipes: every format read and written slice by slice, whole or not at all. NumPy only."""

from mrikit.io.formats import describe, open_reader, open_writer
from mrikit.io.volume import Geometry, Header, Kept, Picked, Reader, Writer

__all__ = ["Geometry", "Header", "Kept", "Picked", "Reader", "Writer", "describe", "open_reader", "open_writer"]
