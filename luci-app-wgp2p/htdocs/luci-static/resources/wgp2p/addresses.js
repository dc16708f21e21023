'use strict';
'require baseclass';
'require wgp2p.words as words';

/* Addresses, networks, endpoints and keys: text in, canonical text out (RFC 5952), as addr.py of the daemon has them. */

const FIRST_PORT = 36906; // as clients.py
const WIDEST = { 32: 8, 128: 32 }; // the shortest prefix of a network that is taken for a tunnel's
const KEY = /^[A-Za-z0-9+\/]{42}[AEIMQUYcgkosw048]=$/; // the last letter holds four bits
const DECIMAL = /^(0|[1-9][0-9]{0,4})$/;
const LABEL = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/;

function refuse(sentence, text) {
	throw new Error(sentence.format(words.visible(text)));
}

/* The number that groups of `bits` bits make. */
function joined(groups, bits) {
	return groups.reduce((value, group) => value << BigInt(bits) | BigInt(group), 0n);
}

function split(value, bits, count) {
	return Array.from({ length: count }, (_, i) => Number(BigInt.asUintN(bits, value >> BigInt(bits * (count - 1 - i)))));
}

function parseV4(text) {
	const parts = text.split('.');

	return parts.length == 4 && parts.every(part => DECIMAL.test(part) && Number(part) < 256) ? joined(parts, 8) : null;
}

/* The groups of one side of a `::`; an IPv4 address may stand at the end. */
function groupsOf(text, last) {
	if (text == '')
		return [];

	const parts = text.split(':');
	const tail = last && parts.at(-1).includes('.') ? parseV4(parts.pop()) : undefined;

	if (tail === null || !parts.every(part => /^[0-9a-fA-F]{1,4}$/.test(part)))
		return null;

	return [ ...parts.map(part => parseInt(part, 16)), ...(tail === undefined ? [] : split(tail, 16, 2)) ];
}

function parseV6(text) {
	const halves = text.split('::');

	if (text.length > 45 || halves.length > 2)
		return null;

	const sides = halves.map((half, i) => groupsOf(half, i == halves.length - 1));

	if (sides.includes(null))
		return null;

	const missing = 8 - sides.flat().length;

	if (halves.length == 1 ? missing != 0 : missing < 1)
		return null;

	return joined([ ...sides[0], ...Array(missing).fill(0), ...(sides[1] ?? []) ], 16);
}

/* {bits, value} of an address; an IPv4-mapped IPv6 address becomes IPv4. */
function parse(text) {
	const given = String(text ?? '');
	const v6 = given.includes(':');
	const value = v6 ? parseV6(given) : parseV4(given);

	if (value === null)
		refuse(_('“%s” is no IP address.'), given);

	return v6 && value >> 32n != 0xffffn ? { bits: 128, value } : { bits: 32, value: BigInt.asUintN(32, value) };
}

function format(bits, value) {
	if (bits == 32)
		return split(value, 8, 4).join('.');

	const groups = split(value, 16, 8).map(group => group.toString(16));
	let start = 0, length = 1; // of the first longest run of zeros; a single one stays

	for (let from = 0; from < 8; from++) {
		let to = from;

		while (to < 8 && groups[to] == '0')
			to++;
		if (to - from > length)
			[ start, length ] = [ from, to - from ];
	}

	return length < 2 ? groups.join(':') : `${groups.slice(0, start).join(':')}::${groups.slice(start + length).join(':')}`;
}

/* The address with all bits after the first `length` zero. */
function masked({ bits, value }, length) {
	const rest = BigInt(bits - length);

	return value >> rest << rest;
}

class Network {
	constructor(address, length) {
		Object.assign(this, { bits: address.bits, length, value: masked(address, length) });
		Object.freeze(this);
	}
	toString() {
		return `${format(this.bits, this.value)}/${this.length}`;
	}
	holds(address) {
		return address.bits == this.bits && masked(address, this.length) == this.value;
	}
}

return baseclass.extend({
	/** The one text of an address. Throws an Error. */
	canonical(text) {
		const { bits, value } = parse(text);

		return format(bits, value);
	},

	/** The same, or '' where the text is no address. */
	ip(text) {
		try {
			return this.canonical(text);
		}
		catch {
			return '';
		}
	},

	/** The network that a text such as `10.7.0.0/24`, or a single address, names: {bits: 32 or 128, length: of the
	 * prefix}, and as text it is the canonical one. Throws an Error. */
	network(text) {
		const given = String(text ?? '');
		const slash = given.indexOf('/');
		const address = parse(slash < 0 ? given : given.slice(0, slash));
		const length = slash < 0 ? String(address.bits) : given.slice(slash + 1);

		if (!DECIMAL.test(length) || Number(length) > address.bits)
			refuse(_('“%s” is no network, such as 192.168.1.0/24.'), given);

		return new Network(address, Number(length));
	},

	/** Of these texts the networks; what is none is left out. */
	networks(texts) {
		return texts.flatMap(text => {
			try {
				return [ this.network(text) ];
			}
			catch {
				return [];
			}
		});
	},

	/** The length of the prefix that a netmask such as 255.255.255.0 says. What is none comes back as it is, and no network
	 * has that. */
	prefixLength(netmask) {
		const bits = netmask.split('.').map(byte => Number(byte).toString(2).padStart(8, '0')).join('');

		return /^1*0*$/.test(bits) ? bits.replace(/0/g, '').length : netmask;
	},

	/** Whether the address (text) lies in the network (as `network` gives it). Throws an Error. */
	contains(network, ip) {
		return network.holds(parse(ip));
	},

	/** The networks, as text, of addresses: `10.7.0.3` gives `10.7.0.3/32`. Throws an Error. */
	hosts(texts) {
		return texts.map(text => String(this.network(text)));
	},

	/** The next address (text) after `ip` in its network of this prefix length that is in none of the networks `used`, of
	 * which the wider ones say nothing; behind the last one it goes on at the beginning. null when there is none, or the
	 * network is too wide for a tunnel's. Throws an Error. */
	freeAddress(ip, length, used) {
		const own = parse(ip);
		const { bits } = own;

		if (length < WIDEST[bits])
			return null;

		const narrower = used.filter(network => network.bits == bits && network.length > length);
		/* The first address of a network and the last are none of a host's (RFC 1122, 3.2.1.3; RFC 4291, 2.6.1). */
		const first = masked(own, length) + 1n, last = first + (1n << BigInt(bits - length)) - 3n;

		for (const [ from, end ] of [ [ own.value + 1n, last ], [ first, own.value - 1n ] ])
			for (let value = from; value <= end;) {
				const holder = narrower.find(network => network.holds({ bits, value }));

				if (!holder)
					return format(bits, value);
				value = holder.value + (1n << BigInt(bits - holder.length));
			}

		return null;
	},

	/** The lowest listen port for a client that is not in `taken` (numbers). */
	freePort(taken) {
		let port = FIRST_PORT;

		while (taken.includes(port))
			port++;

		return port;
	},

	/** HOST:PORT with a name, an IPv4 address or an IPv6 address in brackets, in the text that profiles have. Throws an
	 * Error. */
	checkEndpoint(text) {
		const given = String(text ?? '');
		const [ , host, port ] = /^(.*):([0-9]{1,5})$/s.exec(given) ?? [];
		const fit = host != null && DECIMAL.test(port) && Number(port) > 0 && Number(port) < 65536;
		const shown = fit ? hostOf(host) : null;

		if (shown == null)
			refuse(_('An endpoint is HOST:PORT or [IPv6]:PORT, not “%s”.'), given);

		return `${shown}:${Number(port)}`;
	},

	/** Whether it is the text of a key of WireGuard. */
	isKey(text) {
		return typeof text == 'string' && KEY.test(text);
	}
});

/* A host as an endpoint has it, or null. */
function hostOf(host) {
	const bare = host.replace(/\.$/, '');

	try {
		if (/^\[.*\]$/s.test(host)) {
			const { bits, value } = parse(host.slice(1, -1));

			return bits == 32 ? format(bits, value) : `[${format(bits, value)}]`;
		}
		if (/^[0-9.]*$/.test(bare))
			return format(32, parse(bare).value);
	}
	catch {
		return null;
	}

	return bare.length <= 253 && bare.split('.').every(label => LABEL.test(label)) ? bare : null;
}
