"""Backbones: the right preprocessing, weights from files, errors that help."""

import hashlib
import urllib.error

import cv2
import keras
import numpy as np
import pytest
from pictures import coloured_frame

from videorep.data.percepts.backbones import load_backbone
from videorep.data.percepts.frames import crop_centre
from videorep.errors import BackboneError
from videorep.models.temporal_stream import LocalResponseNormalization

IMAGENET_BGR_MEAN = np.array([103.939, 116.779, 123.68], np.float32)


def save_tiny_model(path, shape=(32, 32, 3)):
    """A `.keras` file that averages each channel, then keeps the raw 0..255 scale."""
    images = keras.Input(shape)
    keras.Model(images, keras.layers.GlobalAveragePooling2D(name="mean")(images)).save(path)
    return path


@pytest.fixture(scope="module")
def vgg16(tmp_path_factory):
    """VGG-16 with random weights, and its full weights file."""
    keras.utils.set_random_seed(0)
    model = keras.applications.VGG16(weights=None)
    path = tmp_path_factory.mktemp("vgg16") / "full.weights.h5"
    model.save_weights(path)
    yield model, path
    path.unlink()


def convolve(images, kernel, bias):
    """3x3 convolution with zero padding, then ReLU, in NumPy."""
    padded = np.pad(images, ((1, 1), (1, 1), (0, 0)))
    height, width = images.shape[:2]
    shifted = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return np.maximum(np.concatenate(shifted, axis=-1) @ kernel.reshape(-1, kernel.shape[-1]) + bias, 0)


def test_vgg16_sees_bgr_less_the_imagenet_mean(vgg16):
    model, weights = vgg16
    kernel, _ = model.get_layer("block1_conv1").get_weights()
    frame = coloured_frame(240, 320)

    def oracle(pixels):
        return convolve(pixels, kernel, 0).mean(axis=(0, 1))

    backbone = load_backbone("vgg16", "block1_conv1", weights)
    assert (backbone.size, backbone.channels, backbone.features) == (224, 3, 64)
    received = backbone.extract(crop_centre(frame, 224)[None]).numpy()[0]
    crop = frame[8:232, 48:272].astype(np.float32)
    expected = oracle(crop[..., ::-1] - IMAGENET_BGR_MEAN)
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-3)
    mistakes = {
        "channels swapped": crop - IMAGENET_BGR_MEAN[::-1],
        "channels swapped, mean not": crop - IMAGENET_BGR_MEAN,
        "mean not subtracted": crop[..., ::-1],
        "crop at the corner": frame[:224, :224, ::-1] - IMAGENET_BGR_MEAN,
        "squeezed, not cropped": cv2.resize(frame, (224, 224))[..., ::-1] - IMAGENET_BGR_MEAN,
        "scaled to [0, 1]": crop[..., ::-1] / 255,
    }
    for name, pixels in mistakes.items():
        wrong = oracle(pixels)
        assert np.abs(wrong - expected).max() > 50 * np.abs(received - expected).max(), name
        assert not np.allclose(received, wrong, rtol=1e-3, atol=1e-2), name


def test_vgg16_fc1_from_a_full_weights_file(vgg16):
    model, weights = vgg16
    backbone = load_backbone("VGG16", weights=weights)
    frames = np.stack([np.array(crop_centre(coloured_frame(240, 320, seed), 224)) for seed in range(3)])
    received = backbone.extract(frames).numpy()
    assert received.shape == (3, 4096)
    probe = keras.Model(model.inputs[0], model.get_layer("fc1").output)
    expected = np.asarray(probe(frames[..., ::-1] - IMAGENET_BGR_MEAN))
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-4 * expected.max())
    assert received.min() == 0
    assert 0.2 < np.mean(received == 0) < 0.8
    assert backbone.description["layer"] == "fc1"
    assert backbone.description["weights"] == "full.weights.h5"
    assert len(backbone.description["weights_sha256"]) == 64


def test_vgg16_convolutions_from_the_file_without_head(shared_data):
    weights = shared_data / "weights" / "vgg16_notop_imagenet.weights.h5"
    backbone = load_backbone("vgg16", "block5_pool", weights)
    photo = cv2.imread(str(shared_data / "images" / "orange.jpg"))[..., ::-1]
    frame = np.array(crop_centre(photo, 224))
    model = keras.applications.VGG16(weights=str(weights), include_top=False, pooling="avg")
    expected = np.asarray(model(frame[None, ..., ::-1] - IMAGENET_BGR_MEAN))
    np.testing.assert_allclose(backbone.extract(frame[None]), expected, rtol=1e-3, atol=1e-3)
    with pytest.raises(BackboneError) as caught:
        load_backbone("vgg16", weights=weights)
    assert str(caught.value) == (
        f"expected weights of vgg16 up to layer fc1 in {weights}, received a file that lacks some of them (fc1/kernel, "
        "fc1/bias, fc2/kernel, ...); pass a file of the full vgg16, named *.weights.h5 or *.h5 as Keras saves them, "
        "or choose a --layer below its head, such as block5_pool"
    )


def test_a_keras_file_classifies_the_four_photos(shared_data):
    """The features file holds ImageNet's head as a second output of its inner model: the percepts go through it."""
    path = shared_data / "weights" / "efficientnet_lite0_features.keras"
    classes = (shared_data / "images" / "classification_classes_ILSVRC2012.txt").read_text().splitlines()
    head = keras.models.load_model(path, compile=False).get_layer("functional").layers[-1]
    backbone = load_backbone(path)
    assert (backbone.size, backbone.features) == (224, 1280)
    right = {
        "baboon": ("baboon",),
        "butterfly": ("admiral", "monarch"),
        "messi5": ("soccer ball",),
        "orange": ("orange",),
    }

    def share_of_right(name, prepare):
        photo = cv2.imread(str(shared_data / "images" / f"{name}.jpg"))[..., ::-1]
        share = np.asarray(head(backbone.extract(prepare(photo)[None])))[0]
        best = classes[int(share.argmax())].split(",")[0]
        return best in right[name], sum(share[i] for i, c in enumerate(classes) if c.split(",")[0] in right[name])

    good = [share_of_right(name, lambda photo: np.array(crop_centre(photo, 224))) for name in right]
    assert all(best for best, _ in good), good
    mistakes = {
        "channels swapped": lambda photo: np.array(crop_centre(photo, 224))[..., ::-1],
        "crop at the corner": lambda photo: photo[:224, :224],
        "scaled to [0, 1]": lambda photo: np.array(crop_centre(photo, 224)) / 255,
    }
    for mistake, prepare in mistakes.items():
        worse = np.mean([share_of_right(name, prepare)[1] for name in right])
        assert worse < 0.9 * np.mean([share for _, share in good]), mistake


def test_a_keras_file_receives_rgb_from_0_to_255(tmp_path):
    backbone = load_backbone(save_tiny_model(tmp_path / "mean.keras"), "mean")
    frame = np.broadcast_to(np.array([250, 120, 3], np.uint8), (1, 32, 32, 3))
    assert backbone.extract(frame).numpy().tolist() == [[250.0, 120.0, 3.0]]
    assert backbone.size == 32
    assert load_backbone(save_tiny_model(tmp_path / "any.keras", (None, None, 3))).size == 224


def test_a_model_within_a_model_gives_what_the_whole_gives_and_is_not_cut_out(tmp_path):
    images, scaled = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    inner = keras.Model(scaled, keras.layers.Conv2D(2, 3)(scaled), name="inner")
    keras.Model(images, inner(keras.layers.Rescaling(1 / 255)(images))).save(tmp_path / "last.keras")
    values = keras.layers.GlobalAveragePooling2D()(inner(images))
    keras.Model(images, values).save(tmp_path / "middle.keras")
    whole = load_backbone(tmp_path / "last.keras")
    frames = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    assert whole.description["layer"] == "inner"  # what is noted of it must lead to it again
    again = load_backbone(tmp_path / "last.keras", "inner")
    np.testing.assert_array_equal(again.extract(frames), whole.extract(frames))
    with pytest.raises(BackboneError, match="received inner, a whole model within it"):
        load_backbone(tmp_path / "middle.keras", "inner")


def test_a_run_of_train_stream_gives_its_fc6(tmp_path):
    stacks = keras.Input((32, 32, 6))
    fc6 = keras.layers.Dense(5, "relu", name="fc6")(keras.layers.Flatten()(LocalResponseNormalization()(stacks)))
    model = keras.Model(stacks, keras.layers.Dense(2, "softmax", name="probabilities")(fc6))
    model.save(tmp_path / "model.keras")
    backbone = load_backbone(tmp_path)
    assert (backbone.features, backbone.channels, backbone.description["layer"]) == (5, 6, "fc6")
    flow = np.random.default_rng(0).normal(0, 10, (2, 32, 32, 6)).astype(np.float32)
    expected = np.asarray(keras.Model(stacks, fc6)(flow))
    np.testing.assert_allclose(backbone.extract(flow), expected, rtol=1e-5, atol=1e-5)


def test_the_hash_tells_weights_apart(tmp_path):
    images = keras.Input((32, 32, 3))
    model = keras.Model(images, keras.layers.Conv2D(2, 3)(images))
    hashes = []
    for bias in (0.0, 0.5):
        kernel, _ = model.get_weights()
        model.set_weights([kernel, np.full(2, bias, np.float32)])
        model.save(tmp_path / "model.keras")
        hashes.append(load_backbone(tmp_path / "model.keras").description["weights_sha256"])
    assert hashes[0] != hashes[1]
    shapes = b"".join(repr((a.shape, str(a.dtype))).encode() + a.tobytes() for a in model.get_weights())
    assert hashes[1] == hashlib.sha256(shapes).hexdigest()


def test_unknown_names_are_explained(tmp_path):
    with pytest.raises(BackboneError, match=r"vgg61; try .*vgg16"):
        load_backbone("vgg61")
    with pytest.raises(BackboneError, match="found no such file"):
        load_backbone(tmp_path / "absent.keras")
    with pytest.raises(BackboneError, match=r"received means; try mean$"):
        load_backbone(save_tiny_model(tmp_path / "mean.keras"), "means")
    (tmp_path / "text.keras").write_text("not a model")
    with pytest.raises(BackboneError, match=r"expected a Keras model in .*; check --backbone, or save"):
        load_backbone(tmp_path / "text.keras")


def test_an_unknown_layer_meets_close_names_or_the_last_that_give_percepts(tmp_path):
    images = x = keras.Input((8, 8, 3))
    for number in range(10):
        x = keras.layers.Dropout(0.5)(keras.layers.ZeroPadding2D()(keras.layers.Conv2D(1, 3, name=f"norm{number}")(x)))
    keras.Model(images, x).save(tmp_path / "model.keras")
    with pytest.raises(BackboneError, match=rf"try {', '.join(f'norm{n}' for n in range(2, 10))}$"):
        load_backbone(tmp_path / "model.keras", "nope")
    with pytest.raises(BackboneError, match=r"try (norm\d, ){3}norm\d$"):
        load_backbone(tmp_path / "model.keras", "norm10")


def test_unfit_weights_are_explained(tmp_path):
    with pytest.raises(BackboneError, match="found no file"):
        load_backbone("mobilenetv2", weights=tmp_path / "absent.weights.h5")
    (tmp_path / "text.weights.h5").write_text("not weights")
    with pytest.raises(BackboneError, match="expected weights of mobilenetv2"):
        load_backbone("mobilenetv2", weights=tmp_path / "text.weights.h5")
    images = keras.Input((32, 32, 3))
    keras.Model(images, keras.layers.Conv2D(4, 3)(images)).save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(BackboneError, match="expected weights of mobilenetv2"):
        load_backbone("mobilenetv2", weights=tmp_path / "other.weights.h5")
    with pytest.raises(BackboneError, match="leave it out"):
        load_backbone(save_tiny_model(tmp_path / "mean.keras"), weights=tmp_path / "text.weights.h5")


def test_a_failed_download_names_the_way_out(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", refuse)
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    with pytest.raises(BackboneError, match=r"no network.*--weights PATH"):
        load_backbone("mobilenetv2")


def test_each_application_brings_its_own_preprocessing(tmp_path):
    model = keras.applications.MobileNetV2(weights=None)
    model.save_weights(tmp_path / "full.weights.h5")
    frame = coloured_frame(224, 224)
    backbone = load_backbone("MobileNet-V2", weights=tmp_path / "full.weights.h5")
    assert (backbone.features, backbone.description["layer"]) == (1280, "out_relu")
    probe = keras.Model(model.inputs[0], model.get_layer("out_relu").output)
    expected = np.asarray(probe(frame[None] / 127.5 - 1)).mean(axis=(1, 2))
    np.testing.assert_allclose(backbone.extract(frame[None]), expected, rtol=1e-3, atol=1e-5)
