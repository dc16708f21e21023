"""Reads a QR code as a phone's camera would: from the picture of the page."""
import subprocess


def scan(locator, path):
    """The text of the QR code in the screenshot of this part of the page, which is kept at `path`."""
    locator.screenshot(path=path)
    return subprocess.run(["zbarimg", "--quiet", "--raw", "--oneshot", "-Sdisable", "-Sqrcode.enable", str(path)],
                          check=True, capture_output=True, text=True).stdout.removesuffix("\n")
