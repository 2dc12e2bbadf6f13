import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from sora_video.base.errors import CorpusError, RunError
from sora_video.configs.parts import EncoderConfig
from sora_video.configs.sections import SliceConfig
from sora_video.pretrain.encoders import frozen
from sora_video.pretrain.encoders.embeddings import Embeddings, read_embeddings, write_embeddings
from sora_video.pretrain.encoders.fingerprint import fingerprint
from sora_video.pretrain.encoders.frozen import VideoEncoder, random_encoder
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.encoders.registry import build_encoder, encoder_config
from sora_video.pretrain.video.corpus import Corpus, Video, open_corpus
from sora_video.pretrain.video.inspect import inspect
from sora_video.pretrain.video.slices import Slices, slice_starts


@pytest.fixture(scope="module")
def encoder(tiny_run):
    return load_encoder(tiny_run.path)


@pytest.fixture(scope="module")
def embeddings(encoder, videos):
    return encoder.embed(videos)


def changed(encoder, **sections):
    """The same network under a config with some sections changed."""
    config = encoder.config.model_copy(
        update={
            name: getattr(encoder.config, name).model_copy(update=values) for name, values in sections.items()
        }
    )
    return VideoEncoder(encoder.network, config)


def test_every_slice_of_every_video_has_a_row(embeddings, encoder, videos):
    corpus = open_corpus(videos)
    assert embeddings.videos() == [video.video_id for video in corpus.videos]
    for video in corpus.videos:
        mine = embeddings.select(embeddings.video_id == video.video_id)
        duration_s = inspect(video.path).duration_s
        np.testing.assert_allclose(mine.start_s, slice_starts(duration_s, 1.0, 1.0))
        np.testing.assert_allclose(mine.end_s, mine.start_s + 1.0)
        assert mine.slice_no.tolist() == list(range(len(mine)))
    assert embeddings.failures == ()
    assert embeddings.fingerprint == encoder.fingerprint


def test_vectors_are_float32_and_normalised(embeddings, encoder):
    assert embeddings.vectors.dtype == np.float32
    assert embeddings.dim == encoder.dim
    np.testing.assert_allclose(np.linalg.norm(embeddings.vectors, axis=1), 1, atol=1e-5)


def test_a_network_sees_few_large_slices_at_once(embeddings, encoder, videos, monkeypatch):
    seen = []
    hook = encoder.network.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    monkeypatch.setattr(frozen, "MOST_PIXELS", 2 * 8 * 32 * 32)  # those of two slices
    few = encoder.embed(videos)
    hook.remove()
    assert max(seen) == 2
    assert sum(seen) == len(embeddings)
    np.testing.assert_allclose(few.vectors, embeddings.vectors, atol=1e-6)


def test_rows_do_not_depend_on_the_number_of_workers(embeddings, encoder, videos):
    shared = changed(encoder, data={"workers": 2}).embed(videos)
    assert shared.video_id.tolist() == embeddings.video_id.tolist()
    np.testing.assert_array_equal(shared.start_s, embeddings.start_s)
    np.testing.assert_allclose(shared.vectors, embeddings.vectors, atol=1e-6)


def test_a_slice_is_embedded_the_same_alone_and_in_a_batch(encoder):
    torch.manual_seed(0)
    frames = torch.randint(0, 256, (5, 8, 32, 32, 3), dtype=torch.uint8).numpy()
    slices = Slices(frames, np.full(5, 8), np.zeros((5, 0), np.int16), np.zeros(5, bool))
    together = encoder.embed_slices(slices)
    alone = [
        encoder.embed_slices(Slices(*(column[number : number + 1] for column in slices)))
        for number in range(5)
    ]
    alone = np.concatenate(alone)
    np.testing.assert_allclose(alone, together, atol=1e-5)


def test_long_videos_are_read_in_chunks_without_a_seam(encoder, tmp_path, write_video, moving_square):
    write_video(tmp_path / "long.mp4", moving_square(1, 300), fps=10)
    dense = changed(encoder, slice={"hop_s": 0.25}).embed(tmp_path)
    assert len(dense) == 4 * 29 + 1
    np.testing.assert_allclose(np.diff(dense.start_s), 0.25)
    sparse = encoder.embed(tmp_path)
    np.testing.assert_allclose(dense.vectors[::4], sparse.vectors, atol=1e-5)


def test_a_short_video_gives_one_slice_that_ends_with_it(encoder, tmp_path, write_video, moving_square):
    write_video(tmp_path / "short.mp4", moving_square(1, 10))
    found = encoder.embed(tmp_path)
    assert (found.start_s.tolist(), found.end_s.tolist()) == ([0.0], [pytest.approx(0.4)])


def test_parts_of_a_file_are_numbered_on(encoder, videos):
    path = open_corpus(videos).videos[0].path
    parts = [(0.0, 1.0), (1.0, 2.0)]
    entries = tuple(Video(video_id="v", path=path, start_s=start, end_s=end) for start, end in parts)
    found = encoder.embed(Corpus(videos, entries))
    assert found.slice_no.tolist() == [0, 1]
    assert list(zip(found.start_s, found.end_s, strict=True)) == parts


def test_unreadable_videos_are_named_and_the_rest_embedded(encoder, embeddings, videos, tmp_path):
    shutil.copytree(videos, tmp_path / "mixed")
    (tmp_path / "mixed" / "even" / "empty.mp4").touch()
    (tmp_path / "mixed" / "text.mp4").write_text("no video")
    found = encoder.embed(tmp_path / "mixed")
    assert [failure.video_id for failure in found.failures] == ["even/empty.mp4", "text.mp4"]
    assert found.failures[0].reason == "file is empty (0 bytes)"
    np.testing.assert_allclose(found.vectors, embeddings.vectors, atol=1e-6)


def test_nothing_readable_is_an_error(encoder, tmp_path):
    (tmp_path / "a.mp4").touch()
    with pytest.raises(CorpusError, match=r"a\.mp4: file is empty .*none of 1 videos can be read"):
        encoder.embed(tmp_path)


def test_parquet_gives_back_what_was_written(embeddings, tmp_path):
    write_embeddings(embeddings, tmp_path / "e.parquet")
    found = read_embeddings(tmp_path / "e.parquet")
    assert found.fingerprint == embeddings.fingerprint
    for name in ("video_id", "slice_no", "start_s", "end_s", "vectors"):
        read, written = getattr(found, name), getattr(embeddings, name)
        assert read.dtype == written.dtype
        np.testing.assert_array_equal(read, written)


@pytest.mark.parametrize("kind", ["absent", "text", "other table", "no fingerprint"])
def test_a_file_that_is_no_table_of_embeddings_is_refused(kind, embeddings, tmp_path):
    path = tmp_path / "e.parquet"
    if kind == "text":
        path.write_text("no table")
    elif kind == "other table":
        pq.write_table(pa.table({"a": [1]}), path)
    elif kind == "no fingerprint":
        write_embeddings(embeddings, path)
        pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)
    with pytest.raises(CorpusError, match=r"no table of embeddings: .*make one with `sora embed`"):
        read_embeddings(path)


def test_columns_of_different_length_are_refused():
    with pytest.raises(ValueError, match="got columns of"):
        Embeddings(
            video_id=np.array(["a"], dtype=object),
            slice_no=np.zeros(2, np.int32),
            start_s=np.zeros(2),
            end_s=np.ones(2),
            vectors=np.zeros((2, 4), np.float32),
            fingerprint="",
        )


def test_the_fingerprint_changes_with_any_weight():
    weights = build_encoder(encoder_config("r3d_tiny", width=4), 0).state_dict()
    marks = {fingerprint(weights, encoder_config("r3d_tiny"), SliceConfig())}
    for name, weight in weights.items():
        bumped = weight.clone(memory_format=torch.contiguous_format)
        bumped.view(-1)[0] += 1
        marks.add(fingerprint({**weights, name: bumped}, encoder_config("r3d_tiny"), SliceConfig()))
    assert len(marks) == len(weights) + 1


def test_a_fingerprint_outlives_settings_that_change_no_embedding():
    weights = {"weight": torch.arange(3.0)}
    mark = fingerprint(weights, encoder_config("r3d_tiny"), SliceConfig())
    assert mark == "9c0d3637346a5f628380d63c0bf1bb0151091d52a7f0731aaec78482c5902767"
    assert fingerprint(weights, encoder_config("r3d_tiny", checkpoint=True), SliceConfig()) == mark


def test_another_revision_of_a_network_has_another_fingerprint():
    class Revised(EncoderConfig):
        revision = 2

    weights = {"weight": torch.arange(3.0)}
    first, second = (
        fingerprint(weights, kind(name="s3d"), SliceConfig()) for kind in (EncoderConfig, Revised)
    )
    assert first != second


@pytest.mark.parametrize(
    ("section", "values", "same"),
    [
        ("slice", {"fps": 4.0}, False),
        ("slice", {"frames": 4}, False),
        ("slice", {"size": 48}, False),
        ("slice", {"hop_s": 0.3}, True),
        ("slice", {"max_gap_s": 1.0}, True),
        ("optim", {"lr": 0.5}, True),
    ],
)
def test_the_fingerprint_knows_what_makes_embeddings_comparable(encoder, section, values, same):
    assert (changed(encoder, **{section: values}).fingerprint == encoder.fingerprint) is same


def test_random_encoders_are_a_function_of_config_and_draw(tiny_run, encoder):
    marks = [random_encoder(tiny_run.config, draw=draw).fingerprint for draw in (0, 0, 1, 2)]
    assert marks[0] == marks[1]
    assert len({*marks, encoder.fingerprint}) == 4


def test_a_run_that_cannot_be_used_is_refused(tiny_run, tmp_path):
    with pytest.raises(RunError, match=r"no run there \(config\.yaml is missing\)"):
        load_encoder(tmp_path)
    copy = tmp_path / "run"
    shutil.copytree(tiny_run.path, copy)
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(RunError, match=r"model\.safetensors is damaged: .*; restore it"):
        load_encoder(copy)
    weights.unlink()
    with pytest.raises(RunError, match=r"not finished .*--resume"):
        load_encoder(copy)


def test_weights_of_another_config_are_refused(tiny_run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(tiny_run.path, copy)
    config = copy / "config.yaml"
    config.write_text(config.read_text().replace("width: 4", "width: 8"))
    with pytest.raises(RunError, match=r"damaged or edited: they do not fit the fingerprint .* restore both"):
        load_encoder(copy)
