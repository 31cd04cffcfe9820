"""Coqui's FastPitch made blind to padding, with the prior that its aligner knows but is not given.

Coqui's layers let an example see the padding behind it: the decoder attends to it, and every convolution reads it. A
word that was always padded in training then sounds otherwise when it is said alone.

With minutes of speech instead of hours the aligner needs a prior: the beta-binomial one of the paper (Badlani et al.
2021, "One TTS alignment to rule them all").
"""

from __future__ import annotations

from typing import Any

import torch
from monotonic_alignment_search import maximum_path
from torch import Tensor
from TTS.tts.configs.fast_pitch_config import FastPitchConfig
from TTS.tts.layers.feed_forward.decoder import FFTransformerDecoder
from TTS.tts.layers.generic.transformer import FFTransformerBlock
from TTS.tts.models.forward_tts import ForwardTTS


class Layers(FFTransformerBlock):
    """Coqui's transformer layers, blind to padding: an example comes out the same alone and in any batch."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [B, C, T], mask [B, 1, T] -> [B, C, T]; without padding as coqui's, its doubled residual included."""
        hidden = ~mask.squeeze(1).bool()  # [B, T]
        for layer in self.fft_layers:
            x = x.permute(2, 0, 1)  # [T, B, C]
            mixed, _ = layer.self_attn(x, x, x, key_padding_mask=hidden, need_weights=False)
            x = layer.norm1(x + layer.dropout1(mixed) + mixed).permute(1, 2, 0) * mask
            wide = layer.conv1(x).relu() * mask
            x = x + layer.dropout2(layer.conv2(wide))
            x = layer.norm2(x.transpose(1, 2)).transpose(1, 2) * mask
        return x


class Decoder(FFTransformerDecoder):
    """Coqui's decoder with :class:`Layers`, which it tells what is padding."""

    def __init__(self, in_channels: int, out_channels: int, params: dict[str, Any]) -> None:
        super().__init__(in_channels, out_channels, params)
        self.transformer_block = Layers(in_channels, **params)

    def forward(self, x: Tensor, x_mask: Tensor, _g: Tensor | None = None) -> Tensor:
        """x [B, C, T], x_mask [B, 1, T] -> [B, out_channels, T]"""
        return self.postnet(self.transformer_block(x, x_mask)) * x_mask


class FastPitch(ForwardTTS):
    """Coqui's model, blind to padding, with the prior that its aligner takes."""

    def __init__(self, config: FastPitchConfig) -> None:
        super().__init__(config)
        args = self.args
        self.encoder.encoder = Layers(args.hidden_channels, **args.encoder_params)
        self.decoder.decoder = Decoder(args.hidden_channels, args.out_channels, args.decoder_params)

    def _forward_aligner(
        self, x: Tensor, y: Tensor, x_mask: Tensor, y_mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As coqui's, shapes included, but for the prior and for what is padding."""
        prior = alignment_prior(x_mask.sum((1, 2)), y_mask.sum((1, 2)))
        heard, read = y.transpose(1, 2) * y_mask, x.transpose(1, 2) * x_mask
        soft, log_probability = self.aligner(heard, read, x_mask, prior)
        soft = soft.squeeze(1).transpose(1, 2)  # [B, T_text, T_mel]
        allowed = x_mask.transpose(1, 2) * y_mask  # [B, T_text, T_mel]
        hard = maximum_path(soft.contiguous(), allowed.contiguous())
        return hard.sum(-1).int(), soft, log_probability, hard


def alignment_prior(text_lengths: Tensor, mel_lengths: Tensor) -> Tensor:
    """How likely each character is at each frame before anything is heard: beta-binomial along the diagonal.

    Lengths [B] -> [B, T_mel, T_text]; zero beyond a text's end.
    """
    frame = torch.arange(1, int(mel_lengths.max()) + 1)[None, :, None]
    place = torch.arange(int(text_lengths.max()))[None, None, :]
    last = (text_lengths - 1)[:, None, None]
    a, b = frame + 0.0, (mel_lengths[:, None, None] - frame + 1).clamp(min=1) + 0.0
    k = torch.minimum(place, last)
    log = (last + 1).lgamma() - (k + 1).lgamma() - (last - k + 1).lgamma()
    log = log + (k + a).lgamma() + (last - k + b).lgamma() - (last + a + b).lgamma()
    log = log + (a + b).lgamma() - a.lgamma() - b.lgamma()
    return log.exp() * (place <= last)
