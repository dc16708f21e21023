"""Hypothesis measures no time: how long an example takes says how busy the machine is. Where a commit is judged
(.ci/run), the examples are the same ones each time: it must not fail for what was there before it. Elsewhere they are
drawn anew."""
import os

import hypothesis

hypothesis.settings.register_profile("wgp2p", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("wgp2p")
