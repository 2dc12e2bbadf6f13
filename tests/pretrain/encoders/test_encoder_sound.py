import librosa
import numpy as np
import pytest
import torch

from sora_video.pretrain.encoders.sound import FFT, FLOOR, HOP, MEAN, STD, WINDOW, Halve, LogMel, mel_filters
from sora_video.pretrain.video.sound import RATE


@pytest.mark.parametrize("mels", [16, 40, 64, 80])
def test_mel_filters_are_librosas(mels):
    expected = librosa.filters.mel(sr=RATE, n_fft=FFT, n_mels=mels)
    np.testing.assert_allclose(mel_filters(mels), expected, atol=1e-7)


def test_a_spectrogram_is_that_of_numpy_under_librosas_filters():
    sound = np.random.default_rng(0).normal(0, 0.1, (2, RATE)).astype(np.float32)
    sound[1] = np.sin(np.arange(RATE) * 2 * np.pi * 440 / RATE)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    window = np.pad(hann, (FFT - WINDOW) // 2)
    windows = np.lib.stride_tricks.sliding_window_view(sound, FFT, axis=1)[:, ::HOP] * window
    energy = np.abs(np.fft.rfft(windows)) ** 2 @ librosa.filters.mel(sr=RATE, n_fft=FFT, n_mels=64).T
    expected = (np.log(energy + FLOOR) - MEAN) / STD
    found = LogMel(64)(torch.from_numpy(sound)).transpose(1, 2).numpy()
    assert found.shape == expected.shape == (2, 97, 64)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_spectrogram_is_computed_in_full_precision():
    sound = torch.randn(1, RATE)
    expected = LogMel(64)(sound)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(LogMel(64)(sound), expected)


@pytest.mark.parametrize("time", range(1, 10))
def test_bf16_gradients_of_convolutions_are_those_of_fp32(time):
    torch.manual_seed(time)
    layer, sound = Halve(16, 16), torch.randn(8, 16, time)
    mix = torch.randn(8, 16, -(-time // 2))
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            halved = layer(sound)
        assert halved.shape == mix.shape
        (halved.float() * mix).sum().backward()
        found.append(layer.conv.weight.grad.clone())
    assert (found[1] - found[0]).norm() < 0.1 * found[0].norm()
