'use strict';
'require baseclass';
'require wgp2p.addresses as addresses';
'require wgp2p.options as options';

/* Pure: no DOM, no rpc. The clients of this device, read from UCI and the daemon's status, and the changes to UCI that
 * add, rename and remove one.
 *
 * A client is two sections: `wireguard_wg0` in network, which WireGuard takes, and `peer` in wgp2p, which has what
 * WireGuard has no place for. Both are found by the public key; a name is only for people.
 *
 * `network` and `wgp2p` are all sections of these files, as uci.sections() gives them. `status` is the daemon's, or
 * null when there is none. A change is one of
 *   {op: 'add', config, type, values}, {op: 'set', config, section, values}, {op: 'remove', config, section}. */

const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}$/;
const TUNNEL_NAME = 15;                         // letters that WireGuard's apps take
const MTU_LEAST = 1280, MTU_MOST = 1420, OVERHEAD = 80;
const WIREGUARD_PORT = '51820';                 // what netifd takes when endpoint_port is not there
const OPEN = [ 'open', 'open to this server' ]; // verdicts on a mapped port

const ipOf = text => text.split('/')[0];

function within(ip, networks) {
	return addresses.networks(networks).some(network => addresses.contains(network, ip));
}

function partOf(place, status) {
	return (status?.subscribers ?? []).find(part => part.interface == place.interface) ?? null;
}

function joined(host, port) {
	return '%s:%s'.format(host.includes(':') ? `[${host}]` : host, port);
}

return baseclass.extend({
	/** The interfaces on which clients can be: those that a subscriber follows.
	 * @returns {Array<object>} `interface`; `addresses`: its own, with prefix length; `listenPort`: text; `privateKey`;
	 * `subscriber`: the first one's name as the daemon says it; `publishers`: addresses in the tunnel; `serverHost`:
	 * name or ''; `servers`: the public servers' sections in network, the first subscriber's first. */
	places(network, wgp2p) {
		const places = [];

		for (const section of options.ofType(wgp2p, 'subscriber')) {
			const own = network.find(one => one['.type'] == 'interface' && one['.name'] == section.interface &&
				one.proto == 'wireguard');

			if (!own || !section.publisher || !options.on(section.enabled, true))
				continue;

			let place = places.find(one => one.interface == section.interface);

			if (!place) {
				place = { interface: section.interface, addresses: options.words(own.addresses),
					listenPort: own.listen_port ?? '', privateKey: own.private_key ?? '',
					subscriber: options.label(wgp2p, section),
					publishers: [], serverHost: section.server_host ?? '', servers: [] };
				places.push(place);
			}

			const server = options.routedTo(this.peers(place, network), section.publisher);

			place.publishers.push(section.publisher);
			if (server && !place.servers.includes(server))
				place.servers.push(server);
		}

		return places;
	},

	/** Sections of network: every peer of the interface. */
	peers(place, network) {
		return options.ofType(network, `wireguard_${place.interface}`);
	},

	/** The clients of an interface, each once.
	 * @param {object} made {public key: name} of those that `wgp2p client` has made.
	 * @returns {Array<object>} `key`, `name`, `description` (the name that network has), `addresses`, `listenPort` (number
	 * or null), `privateKey` ('' when it is not kept), `profileEndpoint`, `excluded`, `commandLine` (the name there, or
	 * null), `stale`, `running` (whether WireGuard has it now; null: not known). */
	clients(place, network, wgp2p, status, made) {
		const servers = place.servers.map(section => section.public_key);
		const part = partOf(place, status);
		const running = part && !part.problem ? part.peers.map(peer => peer.public_key) : null;
		const rows = new Map();

		for (const section of this.peers(place, network)) {
			const key = section.public_key;

			if (!addresses.isKey(key) || servers.includes(key) || rows.has(key))
				continue;

			const ours = options.ofType(wgp2p, 'peer').find(one => one.public_key == key) ?? {};
			const commandLine = made[key] ?? null;
			const name = ours.name || section.description || commandLine || key.slice(0, 8);

			rows.set(key, { key, name, commandLine, description: section.description ?? '',
				addresses: options.words(section.allowed_ips),
				listenPort: Number(ours.listen_port) || null,
				privateKey: section.private_key ?? '', profileEndpoint: ours.profile_endpoint ?? '',
				excluded: options.on(ours.exclude, false),
				stale: (status?.stale_profiles ?? []).some(one => one == name || one == commandLine),
				running: running && !options.on(section.disabled, false) ? running.includes(key) : null });
		}

		return Array.from(rows.values());
	},

	/** Throws an Error that says what is wrong with a new client's name. `except`: the client that is renamed. */
	checkName(name, clients, wgp2p, except) {
		if (!NAME.test(name))
			throw new Error(_('A name is made of 1 to 32 letters, digits, “_”, “.” and “-”, and does not begin with “.” or “-”.'));

		const others = clients.filter(client => client.key != except);
		const sections = options.ofType(wgp2p, 'peer').filter(section => section.public_key != except);

		if (others.some(client => client.name == name || client.commandLine == name) ||
		    sections.some(section => section.name == name))
			throw new Error(_('There is a client with this name already. Choose another one.'));
	},

	/** What a new client gets: {addresses, listenPort, routed}. `routed`: the interface's own network does not hold the
	 * address, so a route is needed. Throws an Error when no address is free. */
	allot(place, network, wgp2p) {
		const peers = this.peers(place, network);
		const used = addresses.networks([ ...place.addresses.map(ipOf), ...place.publishers,
			...peers.flatMap(peer => options.words(peer.allowed_ips)) ]);
		const chosen = [];

		for (const own of addresses.networks(place.addresses)) {
			const ip = ipOf(place.addresses.find(text => addresses.contains(own, ipOf(text))));
			const narrow = own.length == own.bits;
			// An interface with a single address: its network is the one that the public server's peer routes.
			const wider = narrow ? addresses.networks(options.words(place.servers[0]?.allowed_ips)).filter(network =>
				network.length < network.bits && addresses.contains(network, ip)) : [ own ];
			const length = Math.max(...wider.map(network => network.length));
			const free = wider.length ? addresses.freeAddress(ip, length, used) : null;

			if (free && !chosen.some(other => other.includes(':') == free.includes(':')))
				chosen.push(free);
		}

		if (!chosen.length)
			throw new Error(_('No address is free in the network of %s. Make its network larger, or remove clients that nobody uses.').format(place.interface));

		const ports = [ place.listenPort, ...options.ofType(wgp2p, 'peer')
			.map(section => section.listen_port) ].map(Number);

		return { addresses: chosen, listenPort: addresses.freePort(ports),
			routed: !chosen.every(ip => within(ip, place.addresses)) };
	},

	/** Changes that add a client. `privateKey`: '' when it is not to be kept. */
	add(place, client) {
		return [
			{ op: 'add', config: 'network', type: `wireguard_${place.interface}`, values: {
				description: client.name, public_key: client.key, allowed_ips: addresses.hosts(client.addresses),
				private_key: client.privateKey || null, route_allowed_ips: client.routed ? '1' : null } },
			{ op: 'add', config: 'wgp2p', type: 'peer', values: {
				name: client.name, public_key: client.key, listen_port: String(client.listenPort),
				profile_endpoint: client.profileEndpoint || null } }
		];
	},

	/** Changes that rename a client, in the lists of devices that may see it, too. */
	rename(place, network, wgp2p, client, name) {
		const changes = this.peers(place, network).filter(section => section.public_key == client.key).map(section =>
			({ op: 'set', config: 'network', section: section['.name'], values: { description: name } }));
		const ours = options.ofType(wgp2p, 'peer').filter(section => section.public_key == client.key);

		for (const section of ours)
			changes.push({ op: 'set', config: 'wgp2p', section: section['.name'], values: { name } });
		if (!ours.length)
			changes.push({ op: 'add', config: 'wgp2p', type: 'peer', values: { name, public_key: client.key } });
		for (const section of this.listing(wgp2p, client))
			changes.push({ op: 'set', config: 'wgp2p', section: section['.name'], values: {
				client: options.list(section.client).map(one => one == client.name ? name : one) } });

		return changes;
	},

	/** Changes that remove a client. Throws an Error when a device's list of clients would be empty: that would let it see
	 * all of them. */
	remove(place, network, wgp2p, client) {
		const changes = [];

		for (const section of this.listing(wgp2p, client)) {
			const left = options.list(section.client).filter(one => one != client.name && one != client.key);

			if (!left.length)
				throw new Error(_('The device %s is told of this client only. Give that device another client first, in the settings.').format(section.name ?? section.public_key));
			changes.push({ op: 'set', config: 'wgp2p', section: section['.name'], values: { client: left } });
		}
		for (const section of this.peers(place, network))
			if (section.public_key == client.key)
				changes.push({ op: 'remove', config: 'network', section: section['.name'] });
		for (const section of wgp2p)
			if (section['.type'] == 'peer' && section.public_key == client.key)
				changes.push({ op: 'remove', config: 'wgp2p', section: section['.name'] });

		return changes;
	},

	/** Changes that note under which endpoint the client's profile knows this device. */
	noteProfile(wgp2p, client, endpoint) {
		const ours = wgp2p.find(section => section['.type'] == 'peer' && section.public_key == client.key);

		return [ ours
			? { op: 'set', config: 'wgp2p', section: ours['.name'], values: { profile_endpoint: endpoint } }
			: { op: 'add', config: 'wgp2p', type: 'peer', values: { name: client.name, public_key: client.key,
				profile_endpoint: endpoint } } ];
	},

	/** Sections of devices whose `client` list names this client. */
	listing(wgp2p, client) {
		return options.ofType(wgp2p, 'peer').filter(section => section.public_key != client.key &&
			options.list(section.client).some(one => one == client.name || one == client.key));
	},

	/** Where clients find this device from outside: where a mapped port was seen to be open, else where a public server
	 * sees us (the profile's own first). Text, or '' when nobody has said it yet. */
	deviceEndpoint(place, status) {
		const mapped = (status?.portmaps ?? []).filter(part => part.interface == place.interface)
			.flatMap(part => part.mappings ?? [])
			.find(row => row.forward == null && OPEN.includes(row.verdict) && row.external && !row.external.startsWith('?'));
		const links = (partOf(place, status)?.publishers ?? []).filter(link => link.you);
		const seen = links.find(link => link.name == place.subscriber) ?? links[0];

		return mapped?.external ?? seen?.you ?? '';
	},

	/** Where clients find the public server: its name where one is configured, and the port that WireGuard uses now.
	 * Text, or ''. */
	serverEndpoint(place, status) {
		const server = place.servers[0];
		const now = (partOf(place, status)?.peers ?? []).find(peer => peer.public_key == server?.public_key)?.endpoint ?? '';
		const cut = now.lastIndexOf(':');
		const host = place.serverHost || server?.endpoint_host || now.slice(0, Math.max(cut, 0)).replace(/^\[|\]$/g, '');

		return host ? joined(host, cut > 0 ? now.slice(cut + 1) : server?.endpoint_port || WIREGUARD_PORT) : '';
	},

	/** What network says and WireGuard does not do yet: {missing, left}, names of clients that it does not have, and
	 * keys of peers that it still has. Both are empty while the daemon does not say. */
	pending(place, network, status, clients) {
		const part = partOf(place, status);

		if (!part || part.problem)
			return { missing: [], left: [] };

		const wanted = this.peers(place, network).filter(section => !options.on(section.disabled, false))
			.map(section => section.public_key);

		return { missing: clients.filter(client => client.running === false).map(client => client.name),
			left: part.peers.filter(peer => !wanted.includes(peer.public_key)).map(peer => peer.name || peer.public_key) };
	},

	/** The networks of the interface `lan`, as text. */
	lan(network) {
		const section = network.find(one => one['.type'] == 'interface' && one['.name'] == 'lan');

		return addresses.networks(options.words(section?.ipaddr).map(text => text.includes('/') ? text
			: `${text}/${addresses.prefixLength(section.netmask ?? '255.255.255.0')}`)).map(String);
	},

	/** MTU of the tunnel in bytes by that of the line; null: not known. */
	mtu(status) {
		const line = status?.wan?.mtu;

		return line == null ? null : Math.max(MTU_LEAST, Math.min(MTU_MOST, line - OVERHEAD));
	},

	/** What a client's profile is made of, as wgp2p.profile takes it, but for its kind and the three keys that only the
	 * router knows (`privateKey`, `device.publicKey`, `beacon`). Throws an Error when a part is not known. */
	recipe(place, network, status, client) {
		const server = place.servers[0];

		if (!server)
			throw new Error(_('No peer of %s has the public server’s address %s among its allowed IPs. Finish “Set up” first.').format(place.interface, place.publishers[0]));

		return { addresses: client.addresses, listenPort: client.listenPort, dns: [], mtu: this.mtu(status), keepalive: 25,
			server: { publicKey: server.public_key, endpoint: this.serverEndpoint(place, status),
				allowedIps: addresses.hosts([ place.publishers[0] ]) },
			device: { endpoint: this.deviceEndpoint(place, status),
				allowedIps: [ ...addresses.hosts(place.addresses.map(ipOf)), ...this.lan(network) ] } };
	},

	/** The recipe (with `privateKey` and `beacon`) of a profile's text, as `wgp2p client profile` prints it. Throws an Error
	 * when it is none. */
	parse(text) {
		const sections = [];

		for (const line of text.split('\n').map(line => line.replace(/#.*/, '').trim())) {
			const [ , name, value ] = /^(\w+)\s*=\s*(.*)$/.exec(line) ?? [];

			if (line.startsWith('['))
				sections.push({});
			else if (name && sections.length)
				sections[sections.length - 1][name] = value;
		}

		const [ own, server, device, beacon ] = sections;
		const list = value => (value ?? '').split(',').map(word => word.trim()).filter(word => word != '');

		if (!own?.PrivateKey || !device?.PublicKey || !beacon?.PublicKey)
			throw new Error(_('What “wgp2p client profile” printed is no profile.'));

		return { privateKey: own.PrivateKey, addresses: list(own.Address), listenPort: Number(own.ListenPort),
			dns: list(own.DNS), mtu: own.MTU ? Number(own.MTU) : null, keepalive: Number(device.PersistentKeepalive),
			server: { publicKey: server.PublicKey, endpoint: server.Endpoint, allowedIps: list(server.AllowedIPs) },
			device: { publicKey: device.PublicKey, endpoint: beacon.Endpoint, allowedIps: list(device.AllowedIPs) },
			beacon: beacon.PublicKey };
	},

	/** A name for the file of a profile of this kind, which is the tunnel's in the app: text without `.conf`. */
	fileName(name, kind) {
		const end = kind == 'one' ? '' : `-${kind}`;

		return (name.replace(/[^A-Za-z0-9_=+.-]/g, '_').slice(0, TUNNEL_NAME - end.length) || 'client') + end;
	},

	/** A name that is safe in the piece of shell for the public server. */
	shellName(name) {
		return NAME.test(name) ? name : name.replace(/[^A-Za-z0-9_]/g, '_').slice(0, 32) || 'client';
	}
});
