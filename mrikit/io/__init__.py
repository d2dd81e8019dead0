"""Files and pipes: every format read and written slice by slice, whole or not at all. NumPy only."""

from mrikit.io.formats import open_reader, open_writer
from mrikit.io.volume import Geometry, Header, Reader, Writer

__all__ = ["Geometry", "Header", "Reader", "Writer", "open_reader", "open_writer"]
