"""The keys of records, for writer and reader alike. tfrecords/README.md says what lies under each."""

DATA_PATH = "clip/data_path"
LABEL_INDEX = "clip/label/index"
LABEL_TEXT = "clip/label/text"
LABEL_STRING = "clip/label/string"
IMAGE_ENCODED = "image/encoded"
IMAGE_TIMESTAMP = "image/timestamp"
IMAGE_FORMAT = "image/format"
IMAGE_HEIGHT = "image/height"
IMAGE_WIDTH = "image/width"
IMAGE_CHANNELS = "image/channels"
IMAGE_FRAME_RATE = "image/frame_rate"
IMAGE_LABEL_INDEX = "image/label/index"
PERCEPT_ARRAY = "percept/array"
PERCEPT_SHAPE = "percept/shape"
PERCEPT_DTYPE = "percept/dtype"
PERCEPT_COMPRESSION = "percept/compression"
PERCEPT_FRAME_RATE = "percept/frame_rate"
PERCEPT_START = "percept/start"
PERCEPT_LABEL_INDEX = "percept/label/index"

NO_LABEL = -1
BACKGROUND = "background"  # the class of frames in which nothing happens that has a name
