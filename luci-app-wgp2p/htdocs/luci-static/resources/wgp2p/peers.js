'use strict';
'require baseclass';
'require wgp2p.options as options';

/* Pure: no DOM, no rpc. The WireGuard peers of the interfaces that wgp2p takes care of, each with the `peer` section
 * that wgp2p has for it, and what is to be changed when one of its options is set.
 *
 * `network` and `wgp2p` are all sections of these files, as uci.sections() gives them. A peer needs no section: the
 * first option that is set makes one, and with the last one that is taken away it goes. A change is one of
 *   {op: 'add', values}, {op: 'set', section, option, value}, {op: 'unset', section, option}, {op: 'remove', section},
 * all of `peer` sections in wgp2p, to be made in this order. */

const ROLES = [ 'subscriber', 'publisher' ];

const peersOf = wgp2p => options.ofType(wgp2p, 'peer');
const sectionOf = (wgp2p, key) => peersOf(wgp2p).find(section => section.public_key == key) ?? null;
const optionsOf = section => Object.keys(section).filter(name => !name.startsWith('.') && name != 'public_key');

/* A section that has nothing but the key is needed where a device's list names its key. */
const listed = (wgp2p, key) => peersOf(wgp2p).some(section => options.list(section.client).includes(key));

return baseclass.extend({
	/** The interfaces that sections of wgp2p name, switched off or not. */
	interfaces(wgp2p) {
		return [ ...new Set(wgp2p.filter(section => ROLES.includes(section['.type']) && section.interface)
			.map(section => section.interface)) ];
	},

	/** Every peer of these interfaces, and then those that have a section alone. @returns {Array<object>} `id`: good for
	 * the id of a node, and the same as long as the key is; `key`; `shown`: what to call it, by its description in network;
	 * `interface`: '' where no interface has it; `section`: wgp2p's, or null. */
	rows(network, wgp2p) {
		const rows = new Map();
		const put = (key, shown, interfaceName) => key && !rows.has(key) && rows.set(key, { key, id: this.id(key),
			shown: shown || `${key.slice(0, 8)}…`, interface: interfaceName, section: sectionOf(wgp2p, key) });

		for (const name of this.interfaces(wgp2p))
			for (const peer of options.ofType(network, `wireguard_${name}`))
				put(peer.public_key, peer.description || sectionOf(wgp2p, peer.public_key)?.name, name);
		for (const section of peersOf(wgp2p))
			put(section.public_key, section.name, '');

		return [ ...rows.values() ];
	},

	/** A public key in letters that an id may have. */
	id(key) {
		return 'peer_' + key.replace(/[^A-Za-z0-9]/g, letter => `_${letter.charCodeAt(0)}_`);
	},

	/** The keys of what a device's `client` list names. A name that no section has stays as it is. */
	clients(wgp2p, section) {
		return options.list(section?.client).map(one => peersOf(wgp2p).find(peer => peer.name == one)?.public_key ?? one);
	},

	/** What has to change when this option of the peer with this key becomes `value`: text, an array of texts (of keys,
	 * for `client`), or null for none. Lists that name the peer follow a new name. */
	changes(wgp2p, key, option, value) {
		const section = sectionOf(wgp2p, key);
		const changes = [];

		if (value == null || value.length == 0) {
			if (section?.[option] == null)
				return [];
			if (option == 'name')
				changes.push(...this.renamed(wgp2p, section.name, key));

			const bare = optionsOf(section).every(name => name == option);

			if (bare && !changes.length && !listed(wgp2p, key))
				return [ { op: 'remove', section: section['.name'] } ];

			return [ ...changes, { op: 'unset', section: section['.name'], option } ];
		}
		if (option == 'client')
			for (const client of value.filter(client => client != key && !sectionOf(wgp2p, client)))
				changes.push({ op: 'add', values: { public_key: client } });
		if (!section)
			return [ ...changes, { op: 'add', values: { public_key: key, [option]: value } } ];
		if (option == 'name' && section.name)
			changes.push(...this.renamed(wgp2p, section.name, value));

		return [ ...changes, { op: 'set', section: section['.name'], option, value } ];
	},

	/** The `client` lists that name a peer `before`, with what it is called from now on. */
	renamed(wgp2p, before, after) {
		return before == after ? [] : peersOf(wgp2p).filter(section => options.list(section.client).includes(before))
			.map(section => ({ op: 'set', section: section['.name'], option: 'client',
				value: options.list(section.client).map(one => one == before ? after : one) }));
	},

	/** Why a peer cannot have this name, or null. `others`: the names that the others have. `device`: its token is filed
	 * under the name. */
	nameProblem(name, device, others) {
		if (!name)
			return device ? _('A remote device needs a name: its token is filed under it.') : null;
		if ([ ...name ].length > 64 || name != name.trim() || /\p{C}/u.test(name))
			return _('A name has 1 to 64 printable characters, and no space at either end.');
		if (device && (name.includes('/') || name.startsWith('.')))
			return _('The name of a remote device has no “/” and does not begin with a dot.');

		return others.includes(name) ? _('Another peer has this name already.') : null;
	}
});
