"""What disks and broken copies do to files."""


def truncate(file):
    """Lose a file's end."""
    file.write_bytes(file.read_bytes()[:-3])


def flip(file):
    """Turn one bit in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 16
    file.write_bytes(content)
