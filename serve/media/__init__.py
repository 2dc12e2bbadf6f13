"""Media of a library's videos: the files themselves, previews, posters and strips."""
