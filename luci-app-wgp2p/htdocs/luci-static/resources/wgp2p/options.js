'use strict';
'require baseclass';
'require wgp2p.addresses as addresses';

/* Pure: what sections say and their options, as uci.sections() gives them. */

const ON = /^(1|on|true|yes|enabled)$/i;

const list = value => Array.isArray(value) ? value : value ? [ value ] : [];
const words = value => list(value).flatMap(text => text.split(/\s+/)).filter(word => word != '');
const ofType = (sections, type) => sections.filter(section => section['.type'] == type);

return baseclass.extend({
	/** A list's elements; wgp2p takes an `option` for a list of one. */
	list,

	/** The same where an `option` may name several, as netifd and firewall4 take it: addresses, networks, interfaces. */
	words,

	/** Whether a switch is on. `otherwise`: what holds where the option is missing. */
	on: (value, otherwise) => value == null ? otherwise : ON.test(value),

	ofType,

	/** What the daemon calls a subscriber's section; `wgp2p` are all sections of that file. */
	label(wgp2p, section) {
		return section['.anonymous'] ? '@subscriber[%d]'.format(ofType(wgp2p, 'subscriber')
			.findIndex(one => one['.name'] == section['.name'])) : section['.name'];
	},

	/** Of these peers' sections the one whose allowed IPs hold the address (text) most narrowly, as WireGuard routes; or
	 * null. Throws an Error. */
	routedTo(peers, ip) {
		let found = null, longest = -1;

		for (const peer of peers)
			for (const network of addresses.networks(words(peer.allowed_ips)))
				if (network.length > longest && addresses.contains(network, ip)) {
					found = peer;
					longest = network.length;
				}

		return found;
	}
});
