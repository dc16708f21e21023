'use strict';
'require baseclass';

/* Pure: every option of /etc/config/wgp2p that has a field, in the order of the fields. docs/config.md explains them at
 * length. `kind`: flag, choice (with `values`), interface, list, value; `initial`: what holds where nothing is said. */

const FORWARD = /^(\d{1,5}):(\d{1,3}(?:\.\d{1,3}){3})(?::(\d{1,5}))?$/;

const isPort = (text, least) => Number(text) >= least && Number(text) <= 65535;

/* true, or why it is no forward. */
function forward(text) {
	const [ , port, address, inner = port ] = FORWARD.exec(text) ?? [];

	return address != null && isPort(port, 1024) && isPort(inner, 1) && address.split('.').every(part => Number(part) <= 255)
		|| _('Expecting PORT:ADDRESS or PORT:ADDRESS:PORT, such as 51821:192.168.1.20; the first port from 1024 on.');
}

const PROTOCOLS = { auto: _('what the router in front answers'), pcp: 'PCP', natpmp: 'NAT-PMP', upnp: 'UPnP' };

return baseclass.extend({
	general: [
		{ name: 'enabled', kind: 'flag', initial: '1', title: _('Switched on'), help: _('Without this nothing runs, and nothing is opened.') },
		{ name: 'log_level', kind: 'choice', initial: 'info', title: _('Log'), help: _('The least serious lines that go into the system log.'),
			values: { error: _('errors'), warning: _('warnings'), info: _('what happens'), debug: _('everything, to look for a fault') } },
		{ name: 'open_port', kind: 'flag', initial: '1', title: _('Open the port'), help: _('The firewall lets WireGuard’s port in from the internet and, on a public server, the port of wgp2p from the tunnel.') },
		{ name: 'preserve_port', kind: 'flag', initial: '1', title: _('Keep the port'), help: _('WireGuard’s packets leave through the line to the internet with its own port, whatever devices in the LAN use.') },
		{ name: 'preserve', kind: 'list', datatype: 'range(1,65535)', title: _('Keep these ports, too'), help: _('UDP ports of WireGuard devices in the LAN that are to leave unchanged.') },
		{ name: 'at_home', kind: 'flag', initial: '1', title: _('Clients at home'), help: _('A client in this router’s own LAN reaches it under its public address, too.') }
	],

	subscriber: [
		{ name: 'enabled', kind: 'flag', initial: '1', title: _('Follow this server'), help: _('This router asks the public server where its clients are.') },
		{ name: 'interface', kind: 'interface', title: _('WireGuard interface'), help: _('The tunnel that leads to the server, and whose peers are the clients.') },
		{ name: 'publisher', kind: 'value', datatype: 'ipaddr', hint: '10.7.0.1', needed: true, title: _('Server’s address in the tunnel'), help: _('WireGuard’s peer with this address is left as it is.') },
		{ name: 'port', kind: 'value', datatype: 'range(1,65535)', hint: '8080', title: _('TCP port of wgp2p there'), help: _('In the tunnel only.') },
		{ name: 'server_host', kind: 'value', datatype: 'host', hint: 'vpn.example.org', title: _('Server’s name'), help: _('When the server is out of reach, this name is resolved, and WireGuard is led to its new address.') },
		{ name: 'token_file', kind: 'value', datatype: 'file', hint: '/etc/wgp2p/token', title: _('File of the token'), help: _('A second server needs a file of its own, such as /etc/wgp2p/token-office. The token itself is given below.') },
		{ name: 'keepalive', kind: 'value', datatype: 'range(1,120)', hint: '25', title: _('Keepalive'), help: _('Seconds between packets that keep the way to a client open.') },
		{ name: 'stale_after', kind: 'value', datatype: 'range(125,86400)', hint: '180', title: _('Given up after'), help: _('Seconds without a sign of life at any server, after which a client gets no keepalives any more.') }
	],

	publisher: [
		{ name: 'enabled', kind: 'flag', initial: '1', title: _('Serve'), help: _('This router has a public address, and tells other routers where their clients are.') },
		{ name: 'interface', kind: 'interface', title: _('WireGuard interface'), help: _('Its peers are the routers and their clients.') },
		{ name: 'address', kind: 'list', datatype: 'ipaddr', title: _('Addresses'), help: _('Where it is asked. Without one: at every address of the interface.') },
		{ name: 'port', kind: 'value', datatype: 'range(1,65535)', hint: '8080', title: _('TCP port'), help: _('In the tunnel only.') },
		{ name: 'relay', kind: 'flag', initial: '1', title: _('Relay'), help: _('Passes packets on between routers and their clients, unread, where no direct path exists.') },
		{ name: 'relay_limit', kind: 'value', datatype: 'range(0,10000)', hint: '0', title: _('Limit of the relay'), help: _('Mbit/s for each pair and direction; 0: none.') }
	],

	portmap: [
		{ name: 'enabled', kind: 'flag', initial: '0', title: _('Switched on'), help: _('Asks the router in front to let WireGuard’s port through, and looks from outside whether it does.') },
		{ name: 'interface', kind: 'interface', optional: true, title: _('WireGuard interface'), help: _('Without one only the ports below are mapped.') },
		{ name: 'protocol', kind: 'choice', initial: 'auto', values: PROTOCOLS, title: _('Asked by'), help: _('PCP first, then NAT-PMP, then UPnP, and first what answered before.') },
		{ name: 'gateway', kind: 'value', datatype: 'ip4addr', title: _('Router in front'), help: _('Without one: the next hop on the way to the public server.') },
		{ name: 'lifetime', kind: 'value', datatype: 'range(120,86400)', hint: '7200', title: _('Lifetime'), help: _('Seconds for which a mapping is asked; it is renewed at half of that.') },
		{ name: 'forward', kind: 'list', validate: forward, title: _('For devices in the LAN'), help: _('Maps this UDP port, too, and passes it on: PORT:ADDRESS or PORT:ADDRESS:PORT.') }
	],

	advanced: [
		{ name: 'sweep', kind: 'choice', initial: 'block', values: { off: _('no'), block: _('the likely ports'), full: _('all ports, slowly') },
			title: _('Search for a client’s port'), help: _('Where its network gives it another port for each destination (a symmetric NAT), this router opens its own NAT towards the ports that it may have.') },
		{ name: 'sweep_rate', kind: 'value', datatype: 'range(10,10000)', hint: '1000', title: _('Search: packets a second'), help: _('The most, to all clients together.') },
		{ name: 'sweep_entries', kind: 'value', datatype: 'range(64,16384)', hint: '2048', title: _('Search: ports at once'), help: _('Each is an entry for 30 seconds in the NAT of the router in front.') },
		{ name: 'sweep_share', kind: 'value', datatype: 'range(1,90)', hint: '50', title: _('Search: share of the connection table'), help: _('Per cent of this router’s own table that it may fill.') },
		{ name: 'wan', kind: 'list', datatype: 'maxlength(15)', title: _('Lines to the internet'), help: _('Network devices such as eth1 or pppoe-wan. Without one: that through which the public server is reached.') },
		{ name: 'backend', kind: 'choice', initial: 'auto', values: { auto: _('what works'), netlink: 'netlink', uapi: 'UAPI', tool: 'wg' },
			title: _('How to talk to WireGuard'), help: _('Takes effect at the next start of the service.') },
		{ name: 'state_dir', kind: 'value', datatype: 'directory', hint: '/var/run/wgp2p', title: _('Folder for the moment'), help: _('In memory; takes effect at the next start of the service.') },
		{ name: 'keep_dir', kind: 'value', datatype: 'directory', hint: '/etc/wgp2p', title: _('Folder to keep'), help: _('Tokens, and the key on which all profiles depend: it belongs into backups.') }
	],

	peer: [
		{ name: 'name', kind: 'value', datatype: 'maxlength(64)', title: _('Name') },
		{ name: 'exclude', kind: 'flag', initial: '0', title: _('Leave alone') },
		{ name: 'path', kind: 'choice', initial: 'auto', title: _('Path'),
			values: { auto: _('best'), direct: _('never through the server'), relay: _('always through the server') } },
		{ name: 'keepalive', kind: 'value', datatype: 'range(1,120)', hint: '25', title: _('Keepalive in seconds') }
	],

	/* Of the peers of a public server alone. */
	device: [
		{ name: 'device', kind: 'flag', initial: '0', title: _('Is a router') },
		{ name: 'client', kind: 'list', title: _('Only these clients') }
	]
});
