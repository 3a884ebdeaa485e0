"""The tabs, a folder or a file each. A task's has its name and a `build`; a task without one has `image_to_image`."""
