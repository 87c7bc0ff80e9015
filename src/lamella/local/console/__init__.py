"""The page of `lamella run --console`: what came, what the function made of it, send it again.

`journal` takes note of invocations, `reading` says what their bytes are, `pages` shows both.
The pages are made on the server and need no JavaScript to be read; a small script keeps the list
current. They load nothing from anywhere else.
"""
