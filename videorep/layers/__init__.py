"""Keras layers of the encoder-decoder, for any Keras backend."""

from videorep.layers.decoder import Decoder
from videorep.layers.peephole_lstm import PeepholeLSTM, PeepholeLSTMCell
from videorep.layers.standardisation import Standardisation

__all__ = ["Decoder", "PeepholeLSTM", "PeepholeLSTMCell", "Standardisation"]
