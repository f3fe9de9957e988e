"""Files that are called like videos, and what a listing says of them."""


def make(root, *names):
    """Files with contents of their own."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 10)
    return root


def table(listing):
    """{name: (label, split)} of the videos to decode."""
    return {video.file.name: (video.label, video.split) for video in listing.videos if not video.reason}


def reasons(listing):
    return {video.file.name: video.reason for video in listing.videos if video.reason}
