"""Keras layers of the encoder-decoder, for any Keras backend."""

from videorep.layers.decoder import Decoder
from videorep.layers.peephole_cell import PeepholeLSTMCell
from videorep.layers.peephole_lstm import PeepholeLSTM
from videorep.layers.standardisation import Standardisation

__all__ = ["Decoder", "PeepholeLSTM", "PeepholeLSTMCell", "Standardisation"]
