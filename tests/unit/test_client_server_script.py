"""The piece of shell that `wgp2p client` prints for the public server, in real shells, with programs that are none."""
import shutil
import subprocess

import pytest
from fakewg import key

from wgp2p.profile import server_script

DEVICE, CLIENT = key(2), key(3)
SCRIPT = server_script("phone", CLIENT, ["10.7.0.3/32", "fd00:7::3/128"], DEVICE)
WG = """#!/bin/sh
echo "wg $*" >>LOG
case "$*" in
"show interfaces") echo wg0 wg7 ;;
"show wg0 peers") echo other ;;
"show wg7 peers") printf 'other\\nPEERS\\n' ;;
esac
"""
UCI = """#!/bin/sh
echo "uci $*" >>LOG
case $1 in
batch) cat >>ETC/config/network ;;
-q) grep -q "config interface '${3#network.}'" ETC/config/network ;;
esac
"""
SHELLS = [words for words in (["dash"], ["bash"], ["busybox", "sh"]) if shutil.which(words[0])]


class Server:
    """A machine whose /etc is a folder; `log`: what was run there."""

    def __init__(self, folder, peers=DEVICE, router=False):
        self.etc, self.bin, self.log = folder / "etc", folder / "bin", folder / "log"
        (self.etc / "wireguard").mkdir(parents=True)
        (self.etc / "config").mkdir()
        self.bin.mkdir()
        self.log.touch()
        (self.etc / "config/wgp2p").write_text("config publisher\n\toption interface 'wg7'\n")
        if router:
            (self.etc / "config/network").write_text("config interface 'wg7'\n")
        self._program("wg", WG.replace("PEERS", peers))
        self._program("wgp2p", "#!/bin/sh\necho \"wgp2p $*\" >>LOG\n")
        if router:
            self._program("uci", UCI)

    def _program(self, name, text):
        path = self.bin / name
        path.write_text(text.replace("LOG", str(self.log)).replace("ETC", str(self.etc)))
        path.chmod(0o755)

    def run(self, shell):
        """The exit code and standard error; what was run is in `log`."""
        self.log.write_text("")
        done = subprocess.run(shell, input=SCRIPT.replace("/etc/", f"{self.etc}/"), capture_output=True, text=True,
                              check=False, env={"PATH": f"{self.bin}:/usr/bin:/bin"})
        assert done.stdout == ""
        return done.returncode, done.stderr

    def read(self, name):
        return (self.etc / name).read_text()


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_on_a_host_with_wg_quick(shell, tmp_path):
    server = Server(tmp_path)
    (server.etc / "wireguard/wg7.conf").write_text("[Interface]\n")
    assert server.run(shell) == (0, "")
    conf, config = server.read("wireguard/wg7.conf"), server.read("config/wgp2p")
    assert conf == f"[Interface]\n\n# phone\n[Peer]\nPublicKey = {CLIENT}\nAllowedIPs = 10.7.0.3/32,fd00:7::3/128\n"
    assert config.endswith(f"\n\nconfig peer\n  option name 'phone'\n  option public_key '{CLIENT}'\n")
    assert server.log.read_text().split("\n")[-3:] == [
        f"wg set wg7 peer {CLIENT} allowed-ips 10.7.0.3/32,fd00:7::3/128", "wgp2p reload", ""]
    assert server.run(shell) == (0, "")
    assert (conf, config) == (server.read("wireguard/wg7.conf"), server.read("config/wgp2p")), "twice does no harm"
    assert "reload" not in server.log.read_text()


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_on_a_router(shell, tmp_path):
    server = Server(tmp_path, router=True)
    assert server.run(shell) == (0, "")
    network = server.read("config/network")
    assert network == f"""config interface 'wg7'
add network wireguard_wg7
set network.@wireguard_wg7[-1].description='phone'
set network.@wireguard_wg7[-1].public_key='{CLIENT}'
add_list network.@wireguard_wg7[-1].allowed_ips='10.7.0.3/32'
add_list network.@wireguard_wg7[-1].allowed_ips='fd00:7::3/128'
commit network
"""
    assert CLIENT in server.read("config/wgp2p") and f"wg set wg7 peer {CLIENT} " in server.log.read_text()
    assert server.run(shell) == (0, "") and server.read("config/network") == network


@pytest.mark.parametrize("quote", ["'", '"', ""])
@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_a_name_that_the_server_has_already(shell, quote, tmp_path):
    """Two peers of one name are no configuration: the daemon there would not start again. So it was when a client was
    removed on the device, and added anew."""
    server = Server(tmp_path)
    (server.etc / "wireguard/wg7.conf").write_text("[Interface]\n")
    config = server.etc / "config/wgp2p"
    config.write_text(f"config peer\n\toption name {quote}phone{quote}\n\toption public_key '{key(9)}'\n")
    code, error = server.run(shell)
    assert code == 1 and "Another client here has the name phone" in error
    assert CLIENT not in server.read("wireguard/wg7.conf") and "set" not in server.log.read_text()
    config.write_text(config.read_text().replace("phone", "phone2"))
    assert server.run(shell) == (0, "")


def test_somewhere_else(tmp_path):
    server = Server(tmp_path, peers="another")
    code, error = server.run(["sh"])
    assert code == 1 and "is this the public server?" in error
    assert "set" not in server.log.read_text() and CLIENT not in server.read("config/wgp2p")


def test_where_something_else_sets_wireguard_up(tmp_path):
    server = Server(tmp_path)
    (server.etc / "config/wgp2p").unlink()
    code, error = server.run(["sh"])
    assert code == 0 and "Add the peer to the configuration of wg7 by hand" in error
    assert f"wg set wg7 peer {CLIENT} " in server.log.read_text() and "reload" not in server.log.read_text()


def test_it_is_clean():
    assert "\t" not in SCRIPT
    if not shutil.which("shellcheck"):
        pytest.skip("needs shellcheck")
    subprocess.run(["shellcheck", "--shell=sh", "-"], input=SCRIPT, text=True, check=True)
