'use strict';
'require baseclass';
'require wgp2p.addresses as addresses';

/* Pure: no DOM, no rpc. The peers of WireGuard's interfaces beside what wgp2p's configuration says of them.
 *
 * A peer needs no section of wgp2p: it gets one with the first thing that is said of it. */

const OPTIONS = [ 'name', 'exclude', 'path', 'keepalive', 'device', 'client' ];
const ON = /^(1|on|true|yes|enabled)$/i;
const TYPE = 'wireguard_';
const LONGEST_NAME = 64;

/* A name as the daemon takes it, or none. */
function nameOf(description) {
	const name = (description ?? '').trim();

	return name.length <= LONGEST_NAME && !/\p{C}/u.test(name) ? name : '';
}

return baseclass.extend({
	OPTIONS,

	/** The WireGuard interfaces of /etc/config/network, by name. */
	interfaces(network) {
		return network.filter(section => section['.type'] == 'interface' && section.proto == 'wireguard')
			.map(section => section['.name']);
	},

	/** Every peer, each once, those that only wgp2p knows last.
	 * @param {object[]} network its sections, @param {object[]} wgp2p its sections, both as uci.sections() gives them
	 * @returns {object[]} `id` (of the section of wgp2p, or one that no section has), `key`, `label` (for people),
	 * `interface` ('' where WireGuard has none such), `section` (null: none yet), `name` (for a new section), `values`
	 * {option: value} */
	join(network, wgp2p) {
		const rows = new Map();
		const ours = wgp2p.filter(section => section['.type'] == 'peer');
		const add = (key, label, wg) => {
			const section = ours.find(one => one.public_key == key);

			if (rows.has(key))
				return;
			rows.set(key, { id: section?.['.name'] ?? `new${rows.size}`, key, interface: wg, section: section?.['.name'] ?? null,
				label: section?.name || label || key.slice(0, 8), name: nameOf(label),
				values: Object.fromEntries(OPTIONS.map(option => [ option, section?.[option] ?? null ])) });
		};

		for (const wg of this.interfaces(network))
			for (const peer of network.filter(section => section['.type'] == TYPE + wg))
				if (addresses.isKey(peer.public_key))
					add(peer.public_key, peer.description, wg);
		for (const section of ours)
			add(section.public_key ?? '', section.name, '');

		return Array.from(rows.values());
	},

	/** What a section for a peer that has none yet begins with. The name is left out where another peer has it.
	 * @returns {object} {option: value} */
	beginning(row, rows) {
		const taken = rows.some(other => other.key != row.key && other.values.name == row.name);

		return { public_key: row.key, ...(row.name && !taken ? { name: row.name } : {}) };
	},

	/** Names or keys of the sections that have a token in the configuration itself, where the browser gets it.
	 * @returns {string[]} as the daemon calls them */
	withToken(wgp2p) {
		return this.subscribers(wgp2p).filter(one => one.token).map(one => one.label);
	},

	/** The sections of public servers that are followed: [{label, token, enabled}]. */
	subscribers(wgp2p) {
		return wgp2p.filter(section => section['.type'] == 'subscriber').map((section, index) => ({
			label: section['.anonymous'] ? `@subscriber[${index}]` : section['.name'], token: Boolean(section.token),
			enabled: section.enabled == null || ON.test(section.enabled) }));
	}
});
