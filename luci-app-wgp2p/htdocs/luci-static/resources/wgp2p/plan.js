'use strict';
'require baseclass';
'require wgp2p.addresses as addresses';
'require wgp2p.options as options';

/* Pure: no DOM, no rpc. What UCI has of a set-up, and the changes that a set-up needs.
 *
 * `sections` is {network, firewall, wgp2p}: of each file all sections, as uci.sections() gives them. A change is one of
 *   {op: 'add', config, type, name, values}, {op: 'set', config, section, values}
 * and there is one only for what is not so already: somebody who comes back and saves again changes nothing. */

const LISTEN_PORT = 51820;
const API_PORT = '8080';    // of both roles, where nothing else is said
const KEEPALIVE = '25';     // seconds; it opens the way through NATs in front of this router, and keeps it open

const bare = text => text.split('/')[0];

/* The one that is switched on, else the first. */
function chosen(sections, type) {
	const all = options.ofType(sections, type);

	return all.find(section => options.on(section.enabled, true)) ?? all[0] ?? null;
}

/* A change for those values that are different. `null` is for an option that is to go. */
function differing(config, section, values) {
	const rest = Object.entries(values).filter(([ option, value ]) =>
		String(section[option] ?? '') != String(value ?? ''));

	return rest.length ? [ { op: 'set', config, section: section['.name'], values: Object.fromEntries(rest) } ] : [];
}

function add(config, type, name, values) {
	return [ { op: 'add', config, type, name, values: Object.fromEntries(
		Object.entries(values).filter(([ , value ]) => value != null)) } ];
}

/* Switches the section on, or makes one of this name. */
function role(sections, type, name, values) {
	const section = chosen(sections.wgp2p, type);

	return section ? differing('wgp2p', section, values) : add('wgp2p', type, name, values);
}

function main(sections) {
	const section = options.ofType(sections.wgp2p, 'wgp2p')[0];

	return section ? differing('wgp2p', section, { enabled: '1' }) : add('wgp2p', 'wgp2p', 'main', { enabled: '1' });
}

return baseclass.extend({
	/** The WireGuard interfaces: [{name, addresses, listenPort (text or ''), privateKey, disabled}]. */
	interfaces(network) {
		return options.ofType(network, 'interface').filter(section => section.proto == 'wireguard').map(section => ({
			name: section['.name'], addresses: options.words(section.addresses), listenPort: section.listen_port ?? '',
			privateKey: section.private_key ?? '', disabled: options.on(section.disabled, false) }));
	},

	/** What is set up now, of a role: 'device' or 'server'; none: of the one that is switched on, else 'device'.
	 * @returns {object} `role`; `enabled`: whether it is switched on; `interface` ('': there is none); `label`: the
	 * subscriber section as the daemon names it; `server`: {publicKey, host, port, address, apiPort}, texts, of the
	 * public server that is followed ('' for what is not known). */
	present(sections, role) {
		const follows = chosen(sections.wgp2p, 'subscriber'), serves = chosen(sections.wgp2p, 'publisher');
		const names = this.interfaces(sections.network).map(one => one.name);
		const enabled = options.on(options.ofType(sections.wgp2p, 'wgp2p')[0]?.enabled, true);
		const isOn = section => enabled && section != null && options.on(section.enabled, true);

		role = role ?? (!isOn(follows) && isOn(serves) ? 'server' : 'device');

		const ours = role == 'server' ? serves : follows;
		const name = [ ours?.interface, names[0] ].find(name => names.includes(name)) ?? '';
		// The package's own section has an example of an address, which says nothing while it is switched off.
		const known = role == 'device' && isOn(follows) ? follows : {};
		const peer = this.serverPeer(sections, name, known.publisher ?? '');

		return { role, enabled: isOn(ours), interface: name, label: follows ? options.label(sections.wgp2p, follows) : 'vps', server: {
			publicKey: peer?.public_key ?? '', host: known.server_host || peer?.endpoint_host || '',
			port: peer?.endpoint_port ?? '', address: known.publisher ?? '', apiPort: known.port || API_PORT } };
	},

	/** The peer of this interface to which the address in the tunnel belongs, or null. */
	serverPeer(sections, name, address) {
		const ip = addresses.ip(address);

		return ip ? options.routedTo(options.ofType(sections.network, `wireguard_${name}`), ip) : null;
	},

	/** The name of the firewall zone that an interface is in, or ''. */
	zone(firewall, name) {
		return options.ofType(firewall, 'zone').find(zone => options.words(zone.network).includes(name))?.name ?? '';
	},

	/** An interface to begin with: {name, address, listenPort (text)}, all of them free on this router. `host`: the number
	 * of the address in its network. */
	propose(network, host) {
		const taken = options.ofType(network, 'interface');
		const names = taken.map(section => section['.name']);
		const used = addresses.networks([ ...taken.flatMap(section => [ ...options.words(section.addresses), ...options.words(section.ipaddr).map(
			text => text.includes('/') || !section.netmask ? text : `${text}/${addresses.prefixLength(section.netmask)}`) ]),
			...network.filter(section => section['.type'].startsWith('wireguard_')).flatMap(peer =>
				options.words(peer.allowed_ips)).filter(text => !text.endsWith('/0')) ]);
		const overlaps = third => used.some(one => addresses.contains(addresses.network(`10.${third}.0.0/24`), bare(String(one))) ||
			addresses.contains(one, `10.${third}.0.0`));
		let index = 0, third = 7, port = LISTEN_PORT;

		while (names.includes(`wg${index}`))
			index++;
		while (third < 254 && overlaps(third))
			third++;
		while (taken.some(section => section.listen_port == port))
			port++;

		return { name: `wg${index}`, address: `10.${third}.0.${host}/24`, listenPort: String(port) };
	},

	/** Changes that make a WireGuard interface. Throws an Error in words. */
	create(sections, { name, address, listenPort, privateKey }) {
		// netifd makes a network device of this name, and the daemon's init script takes no other letters.
		if (!/^[A-Za-z][A-Za-z0-9_]{0,14}$/.test(name))
			throw new Error(_('The interface’s name is made of 1 to 15 letters from a to z, digits and “_”, and begins with a letter.'));
		if (sections.network.some(section => section['.name'] == name))
			throw new Error(_('There is an interface %s already. Choose another name.').format(name));
		if (!/^\d{1,5}$/.test(listenPort) || listenPort < 1 || listenPort > 65535)
			throw new Error(_('The listen port is a number from 1 to 65535.'));
		if (!addresses.isKey(privateKey))
			throw new Error(_('The router made no key for the interface. Try it again.'));
		if (sections.network.some(section => section['.type'] == 'interface' && section.listen_port == Number(listenPort)))
			throw new Error(_('Another WireGuard interface has the listen port %s already. Choose another one.').format(listenPort));

		return add('network', 'interface', name, { proto: 'wireguard', private_key: privateKey,
			listen_port: String(Number(listenPort)), addresses: [ address ] });
	},

	/** Changes that put the interface into the zone lan or take it out; none where it is in another zone. */
	lan(firewall, name, wanted) {
		const now = this.zone(firewall, name);
		const zone = options.ofType(firewall, 'zone').find(zone => zone.name == 'lan');

		if (!zone || (now && now != 'lan') || (now == 'lan') == wanted)
			return [];

		const list = options.words(zone.network).filter(one => one != name);

		return [ { op: 'set', config: 'firewall', section: zone['.name'], values: {
			network: wanted ? [ ...list, name ] : list } } ];
	},

	/** Changes that make this router a remote device: its WireGuard peer for the public server, a subscriber, and wgp2p
	 * switched on. `server`: checked texts as `present` has them. */
	device(sections, name, server) {
		const isName = !addresses.ip(server.host);
		const own = addresses.hosts([ server.address ])[0];
		const peers = options.ofType(sections.network, `wireguard_${name}`);
		const peer = peers.find(one => one.public_key == server.publicKey);
		const other = this.serverPeer(sections, name, server.address);
		const follows = chosen(sections.wgp2p, 'subscriber');
		const changes = [];

		if (this.interfaces(sections.network).find(one => one.name == name)?.addresses.some(text =>
			bare(text) == server.address))
			throw new Error(_('%s is this router’s own address in the tunnel. The public server must have another one.').format(server.address));
		// Of two peers with the same allowed IP WireGuard takes one, and nobody knows which.
		if (other && other != peer && addresses.networks(options.words(other.allowed_ips)).some(network => String(network) == own))
			throw new Error(_('Another peer of %s has the address %s already: “%s”. If that is the public server with an old key, remove it in Network → Interfaces first.')
				.format(name, server.address, other.description || (other.public_key ?? '').slice(0, 8)));

		if (!peer) {
			changes.push(...add('network', `wireguard_${name}`, null, { description: _('public server'),
				public_key: server.publicKey, endpoint_host: server.host, endpoint_port: server.port,
				persistent_keepalive: KEEPALIVE, route_allowed_ips: '1', allowed_ips: [ own ] }));
		}
		else {
			const holds = other == peer;
			const endpoint = differing('network', peer, { endpoint_host: server.host, endpoint_port: server.port });
			// With a name in server_host the daemon takes care of the address: what WireGuard has may be the address.
			const same = follows && follows.server_host == server.host && peer.endpoint_port == server.port;

			changes.push(...(same ? [] : endpoint), ...differing('network', peer, {
				allowed_ips: holds ? peer.allowed_ips : [ ...options.words(peer.allowed_ips), own ],
				persistent_keepalive: Number(peer.persistent_keepalive) ? peer.persistent_keepalive : KEEPALIVE }));
		}

		return [ ...changes, ...main(sections), ...role(sections, 'subscriber', 'vps', { enabled: '1', interface: name,
			publisher: server.address, port: server.apiPort == API_PORT ? follows?.port && API_PORT : server.apiPort,
			server_host: isName ? server.host : null }) ];
	},

	/** Changes that make this router the public server: a publisher, and wgp2p switched on. */
	server(sections, name) {
		return [ ...main(sections), ...role(sections, 'publisher', 'server', { enabled: '1', interface: name }) ];
	}
});
