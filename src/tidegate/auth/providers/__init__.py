"""Where credentials come from: the only files of `auth` that do I/O. Each call blocks: to be made in a thread."""
