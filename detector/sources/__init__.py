"""Evidence as read-only streams: folders, files, and the members of archives.

Nothing is ever written under a name that an archive gives, and no archive is unpacked to disk as a whole.
"""

from detector.sources.kinds import is_archive
from detector.sources.model import Limits, Member, Refusal
from detector.sources.paths import expand
from detector.sources.walk import list_zip_members, walk

__all__ = ["Limits", "Member", "Refusal", "expand", "is_archive", "list_zip_members", "walk"]
