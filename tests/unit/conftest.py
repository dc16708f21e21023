"""Hypothesis measures no time: how long an example takes says how busy the machine is."""
import hypothesis

hypothesis.settings.register_profile("wgp2p", deadline=None)
hypothesis.settings.load_profile("wgp2p")
