"""Vision and sound encoders by name."""

from avssl.model.encoder import Encoder as Encoder
from avssl.model.encoder import build_encoder as build_encoder
from avssl.model.sound import SoundEncoder as SoundEncoder
from avssl.model.storage import encoder_file_name as encoder_file_name
from avssl.model.storage import load_encoder as load_encoder
from avssl.model.storage import read_description as read_description
from avssl.model.storage import save_encoder as save_encoder
