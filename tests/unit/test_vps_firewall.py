"""Each kind of firewall: what is added, what was there already, and that exactly ours goes again."""
import copy

import pytest
from vpsworld import CABIN, PUBLISHER, SUBSCRIBER, Machine, Talk, go
from wgp2p_install import installed, paths

INPUT, FORWARD = ("inet", "filter", "input"), ("inet", "filter", "forward")
ACCEPTS = ["-P INPUT ACCEPT", "-A INPUT -i lo -j ACCEPT", "-P FORWARD ACCEPT"]
DROPS = ["-P INPUT DROP", "-A INPUT -i lo -j ACCEPT", "-P FORWARD ACCEPT"]
PASS = 'meta mark & 0xff0000ff == 0x77000001 accept comment "wgp2p"'
MARKED = " -m mark --mark 0x77000001/0xff0000ff -m comment --comment wgp2p -j ACCEPT"
DOCKER = ["-P INPUT ACCEPT", "-P FORWARD DROP", "-N DOCKER-USER", "-A FORWARD -j DOCKER-USER",
          "-A FORWARD -j DOCKER-FORWARD", "-A DOCKER-USER -i eth0 -j DROP"]


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def add(machine, words=PUBLISHER, talk=None):
    code, talk = go(machine, words, talk)
    assert code == 0, talk.text()
    return talk


def remove(machine):
    code, talk = go(machine, "uninstall --yes")
    assert code == 0, talk.text()


def unit(machine):
    return machine.text(paths.UNIT)


# -- ufw ------------------------------------------------------------------------------------------------

UFW = {"in proto udp to any port 51820", "in on wg0 proto tcp to 10.7.0.1 port 8080"}


def test_ufw(machine):
    machine.programs.add("ufw")
    machine.firewall.ufw.add("in proto tcp to any port 22")
    add(machine)
    assert machine.firewall.ufw == UFW | {"in proto tcp to any port 22"}
    assert "wgp2p firewall" not in unit(machine), "ufw keeps its rules itself"
    machine.firewall.ufw -= UFW  # by hand, or by "ufw reset"
    assert go(machine, "firewall")[0] == 0 and not machine.firewall.ufw & UFW, "that is for others"
    add(machine, "install --yes")
    assert machine.firewall.ufw >= UFW and len(installed.load(machine).openings) == 2
    remove(machine)
    assert machine.firewall.ufw == {"in proto tcp to any port 22"}


def test_a_rule_that_was_there_stays(machine):
    machine.programs.add("ufw")
    machine.firewall.ufw.add("in proto udp to any port 51820")
    add(machine)
    assert machine.firewall.ufw == UFW
    remove(machine)
    assert machine.firewall.ufw == {"in proto udp to any port 51820"}


def test_a_remote_device_opens_no_api(machine):
    machine.programs.add("ufw")
    add(machine, SUBSCRIBER)
    assert machine.firewall.ufw == {"in proto udp to any port 51820"}


@pytest.mark.parametrize("talk, said", [
    (Talk(), "nobody to ask"), (Talk(["n"]), "not added. Without it")])
def test_nothing_is_opened_without_leave(machine, talk, said):
    machine.programs.add("ufw")
    add(machine, PUBLISHER.replace(" --yes", ""), talk)
    assert machine.firewall.ufw == set() and said in talk.text()
    assert "  ufw allow in proto udp to any port 51820" in talk.lines, "so that it can be typed"


def test_with_leave(machine):
    machine.programs.add("ufw")
    add(machine, PUBLISHER.replace(" --yes", ""), Talk(["y"]))
    assert machine.firewall.ufw == UFW


def test_open_port_0_opens_nothing_and_closes_what_was_opened(machine):
    machine.programs.add("ufw")
    add(machine)
    text = machine.text(paths.CONFIG)
    machine.put(paths.CONFIG, text.replace("config wgp2p\n", "config wgp2p\n\toption open_port 0\n"))
    add(machine, "install --yes")
    assert machine.firewall.ufw == set() and installed.load(machine).openings == []


def test_another_port_replaces_the_rule(machine):
    machine.programs.add("ufw")
    add(machine)
    machine.put(paths.CONFIG, machine.text(paths.CONFIG).replace("'wg0'", "'wg0'\n\toption port 9090"))
    add(machine, "install --yes")
    assert machine.firewall.ufw == {rule.replace("8080", "9090") for rule in UFW}


# -- firewalld ------------------------------------------------------------------------------------------

def test_firewalld(machine):
    machine.programs.add("firewall-cmd")
    machine.firewall.zones.add((True, "--zone=public", "service=ssh"))
    before = copy.copy(machine.firewall.zones)
    add(machine)
    api = 'rich-rule=rule family="ipv4" destination address="10.7.0.1" port port="8080" protocol="tcp" accept'
    assert machine.firewall.zones - before == {
        (kept, zone, rule) for kept in (True, False)
        for zone, rule in (("--zone=external", "port=51820/udp"), ("--zone=external", "forward"), ("--zone=vpn", api))}
    add(machine, "install --yes")
    remove(machine)
    assert machine.firewall.zones == before


# -- nftables -------------------------------------------------------------------------------------------

def test_nftables(machine):
    chains = machine.firewall.chains
    chains[INPUT] = ("input", "drop", [(1, "ct state established,related accept")])
    chains[("ip", "mine", "in")] = ("input", "accept", [(1, "tcp dport 25 reject")])
    chains[("inet", "open", "input")] = ("input", "accept", [(1, "tcp dport 22 counter")])
    chains[("inet", "wgp2p", "input")] = ("input", "drop", [])
    before = copy.deepcopy(chains)
    add(machine)
    ours = ['iifname "wg0" tcp dport 8080 accept comment "wgp2p"', 'udp dport 51820 accept comment "wgp2p"']
    for place in chains:
        fresh = [rule for _, rule in chains[place][2][:len(chains[place][2]) - len(before[place][2])]]
        assert fresh == (ours if place in (INPUT, ("ip", "mine", "in")) else []), place
    assert "ExecStartPre=+-/usr/local/bin/wgp2p firewall\n" in unit(machine)
    assert "ExecReload=+-/usr/local/bin/wgp2p firewall\n" in unit(machine)
    add(machine, "install --yes")
    chains[INPUT][2].append((77, "udp dport 51820 accept"))  # an admin's own, the same but for the comment
    remove(machine)
    before[INPUT][2].append((77, "udp dport 51820 accept"))
    assert chains == before


def test_one_rule_serves_two_addresses(machine):
    machine.interfaces["wg0"] = ["10.7.0.1", "fd00::1"]
    machine.firewall.chains[INPUT] = ("input", "drop", [])
    add(machine)
    assert len(machine.firewall.chains[INPUT][2]) == 2


def test_nftables_loaded_anew_gets_the_rules_again(machine):
    machine.firewall.chains[INPUT] = ("input", "drop", [])
    add(machine)
    machine.firewall.chains[INPUT][2].clear()
    for _ in range(2):
        code, _ = go(machine, "firewall")
        assert code == 0 and len(machine.firewall.chains[INPUT][2]) == 2


@pytest.mark.parametrize("rule", ["udp dport 51820 accept", "udp dport 51820 counter packets 5 bytes 700 accept",
                                  'udp dport 51820 accept comment "wireguard"'])
def test_nftables_sees_an_admin_s_rule(machine, rule):
    machine.firewall.chains[INPUT] = ("input", "drop", [(5, rule)])
    add(machine, SUBSCRIBER)
    assert machine.firewall.chains[INPUT][2] == [(5, rule)]
    assert "ExecStartPre" not in unit(machine)


def test_nftables_lets_through_what_is_relayed(machine):
    chains = machine.firewall.chains
    dropping = (FORWARD, ("ip", "mine", "fw"))
    chains[FORWARD] = ("forward", "drop", [(1, "ct state established,related accept")])
    chains[("ip", "mine", "fw")] = ("forward", "accept", [(1, 'iifname "eth0" jump other')])
    for place in (("inet", "open", "forward"), ("inet", "wgp2p_relay", "forward"), ("inet", "firewalld", "forward"),
                  ("ip", "docker-bridges", "filter-FORWARD"), ("bridge", "mine", "forward")):
        chains[place] = ("forward", "accept" if place[1] == "open" else "drop", [])
    before = copy.deepcopy(chains)
    talk = add(machine)
    for place in chains:
        assert [rule for _, rule in chains[place][2]] == (
            [PASS] if place in dropping else []) + [rule for _, rule in before[place][2]], place
    at = talk.lines.index("the firewall must let through what the relay forwards:")
    assert f"  nft 'insert rule inet filter forward {PASS}'" in talk.lines[at + 1:at + 3]
    assert "ExecReload=+-/usr/local/bin/wgp2p firewall\n" in unit(machine)
    chains[FORWARD][2].clear()  # loaded anew
    assert go(machine, "firewall")[0] == 0 and [rule for _, rule in chains[FORWARD][2]] == [PASS]
    chains[FORWARD][2].append((1, "ct state established,related accept"))
    remove(machine)
    assert chains == before


def test_who_relays_nothing_needs_no_passage(machine):
    machine.firewall.chains[FORWARD] = ("forward", "drop", [])
    add(machine, SUBSCRIBER)
    assert machine.firewall.chains[FORWARD][2] == []
    add(machine)
    assert len(machine.firewall.chains[FORWARD][2]) == 1
    machine.put(paths.CONFIG, "config publisher\n\toption interface wg0\n\toption relay 0\n")
    add(machine, "install --yes")
    assert machine.firewall.chains[FORWARD][2] == [] and installed.load(machine).openings == []


# -- iptables -------------------------------------------------------------------------------------------

def test_iptables(machine):
    machine.programs |= {"iptables", "ip6tables"}
    machine.firewall.iptables.update({"iptables": list(DROPS), "ip6tables": DROPS + ["-A INPUT -j LOG"]})
    machine.firewall.chains[("ip", "filter", "INPUT")] = ("input", "drop", [])  # the same, as nft shows it
    before = copy.deepcopy(machine.firewall.iptables)
    add(machine)
    tail = " -m comment --comment wgp2p -j ACCEPT"
    fresh = {program: set(rows) - set(before[program]) for program, rows in machine.firewall.iptables.items()}
    assert fresh == {"iptables": {"-A INPUT -p udp --dport 51820" + tail, "-A INPUT -i wg0 -p tcp --dport 8080" + tail},
                     "ip6tables": {"-A INPUT -p udp --dport 51820" + tail}}
    assert machine.firewall.chains[("ip", "filter", "INPUT")][2] == []
    assert "ExecStartPre" in unit(machine)
    remove(machine)
    assert machine.firewall.iptables == before


def test_iptables_that_lets_all_in_is_left_alone(machine):
    machine.programs |= {"iptables", "ip6tables"}
    machine.firewall.iptables["iptables"] = list(ACCEPTS)
    talk = add(machine)
    assert machine.firewall.iptables["iptables"] == ACCEPTS
    assert "no firewall of this machine stands in the way" in talk.lines


# -- what passes, and Docker ----------------------------------------------------------------------------

def test_docker(machine):
    """Its chain FORWARD drops, and its chain for others' rules comes first. IPv6 is as it was."""
    machine.programs |= {"iptables", "ip6tables"}
    machine.firewall.iptables["iptables"] = list(DOCKER)
    machine.firewall.chains[("ip", "filter", "FORWARD")] = ("forward", "drop", [])  # the same, as nft shows it
    talk = add(machine)
    assert machine.firewall.iptables == {"iptables": DOCKER[:3] + ["-A DOCKER-USER" + MARKED] + DOCKER[3:]}
    assert "  iptables -I DOCKER-USER" + MARKED in talk.lines and "docker.service" in unit(machine)
    add(machine, "install --yes")
    assert len(installed.load(machine).openings) == 1
    remove(machine)
    assert machine.firewall.iptables == {"iptables": DOCKER}


def test_what_docker_has_not_made_yet_keeps_nothing_else_from_being_added(machine):
    machine.programs |= {"iptables", "ip6tables"}
    machine.firewall.iptables.update({"iptables": list(DOCKER), "ip6tables": ["-P INPUT DROP", "-P FORWARD DROP"]})
    add(machine)
    for rows in machine.firewall.iptables.values():  # a boot
        rows[:] = ["-P INPUT ACCEPT", "-P FORWARD ACCEPT"]
    code, talk = go(machine, "firewall")
    assert code == 1 and "No chain/target/match" in talk.text()
    assert machine.firewall.iptables["ip6tables"] == [
        "-P INPUT ACCEPT", "-A INPUT -p udp --dport 51820 -m comment --comment wgp2p -j ACCEPT",
        "-P FORWARD ACCEPT", "-A FORWARD" + MARKED]


def test_ufw_leaves_what_is_forwarded_to_iptables(machine):
    machine.programs |= {"ufw", "iptables", "ip6tables"}
    before = ["-P INPUT DROP", "-A INPUT -j ufw-before-input", "-P FORWARD DROP", "-A FORWARD -j ufw-before-forward"]
    machine.firewall.iptables.update({"iptables": list(before), "ip6tables": list(before)})
    add(machine)
    assert machine.firewall.ufw == UFW
    for rows in machine.firewall.iptables.values():
        assert rows == before[:3] + ["-A FORWARD" + MARKED] + before[3:]
    assert "ExecStartPre=+-/usr/local/bin/wgp2p firewall\n" in unit(machine), "ufw does not keep this one"
    remove(machine)
    assert machine.firewall.ufw == set() and set(map(tuple, machine.firewall.iptables.values())) == {tuple(before)}


def test_firewalld_beside_docker(machine):
    machine.programs |= {"firewall-cmd", "iptables"}
    machine.firewall.iptables["iptables"] = list(DOCKER)
    add(machine)
    assert (True, "--zone=external", "forward") in machine.firewall.zones
    assert "-A DOCKER-USER" + MARKED in machine.firewall.iptables["iptables"]


# -- what fails -----------------------------------------------------------------------------------------

def test_a_rule_that_cannot_be_added_undoes_the_rest(machine):
    machine.programs.add("ufw")
    machine.fails = ("ufw allow in on",)
    code, talk = go(machine, PUBLISHER)
    assert code == 1 and machine.firewall.ufw == set() and not machine.users
    assert not machine.exists(paths.INSTALLED)


def test_a_damaged_list_of_what_was_added_is_no_licence(machine):
    machine.put(paths.INSTALLED, "{}")
    code, talk = go(machine, f"install --role publisher --interface wg0 --device cabin={CABIN} --yes")
    assert code == 1 and "is damaged" in talk.text()
    machine.put(paths.INSTALLED, '{"version": 2}')
    assert "newer wgp2p" in go(machine, "uninstall --yes")[1].text()
