"""Claim, on the channel, to have shown HTML and script.

Stock nbgrader: not tried. Here: stopped, 0.
"""

import gc

from course.grader.box.channel import Channel

(channel,) = [x for x in gc.get_objects() if type(x) is Channel]
script = "<script>alert(1)</script>"
kinds = ("text/html", "image/svg+xml", "application/javascript", "text/markdown")
data = dict.fromkeys(kinds, script) | {"image/png": '"><script>alert(1)</script>'}
channel.send(
    [
        {"output_type": "display_data", "data": data},
        {"output_type": "stream", "name": script, "text": script},
    ]
)
