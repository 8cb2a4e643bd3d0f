"""Official label formats, parsed into plain records. See `avssl.labels.records`."""

from avssl.labels.records import Box as Box
from avssl.labels.records import LabelledImage as LabelledImage
from avssl.labels.records import LabelledSet as LabelledSet
from avssl.labels.records import Person as Person
from avssl.labels.records import Skeleton as Skeleton
from avssl.labels.records import person_of as person_of
