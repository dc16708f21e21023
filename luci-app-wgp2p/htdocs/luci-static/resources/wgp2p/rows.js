'use strict';
'require baseclass';
'require wgp2p.words as words';

/* What the daemon says (status, history, doctor) as what the overview shows: rows of plain text with a key each.
 * A state is {level, word}: `level` is a label's class of the themes (success, warning, notice, or '' for plain). */

const PATHS = [ 'direct', 'relay', 'trying', 'offline', 'static' ];

const good = word => ({ level: 'success', word });
const bad = word => ({ level: 'warning', word });
const plain = word => ({ level: '', word });

/* A row of this router's own state. */
function fact(key, title, value, state, sentences) {
	return { key, title, value, state, text: sentences.filter(text => text).join(' ') };
}

function portOf(endpoint) {
	return Number(String(endpoint).split(':').pop());
}

/* -- this router, as it follows a public server --------------------------------------------------- */

function server(subscriber, link) {
	const lines = [];
	let state = bad(_('not connected'));

	if (link.mode == 'no token') {
		state = bad(_('no token'));
		lines.push(words.sentence(link.problem));
	}
	else if (link.problem) {
		lines.push(words.sentence(link.problem), link.tunnel_age == null ? _('Nothing has come through the tunnel yet.')
			: _('Something came through the tunnel %s ago.').format(words.age(link.tunnel_age)));
	}
	else {
		state = good(_('connected'));
		if (link.connected_age != null)
			lines.push(_('For %s.').format(words.age(link.connected_age)));
		if (link.mode == 'polling')
			lines.push(_('It does not tell what changes, so it is asked again and again.'));
		lines.push(link.relays ? _('It passes packets on where no direct path exists.')
			: _('It does not pass packets on: clients without a direct path cannot connect.'));
	}
	return fact(`server ${subscriber.interface} ${link.name}`, _('Public server %s').format(words.visible(link.name)),
		`${link.publisher}:${link.port}`, state, lines);
}

function outside(subscriber, link, several) {
	const port = subscriber.listen_port, seen = portOf(link.you);

	return fact(`outside ${subscriber.interface} ${link.name}`,
		several ? _('Seen by %s at').format(words.visible(link.name)) : _('Seen from outside at'), link.you,
		port == null ? plain(_('not known')) : seen == port ? good(_('port kept')) : bad(_('port changed')),
		[ port == null ? '' : seen == port ? _('WireGuard listens on the same port, %d.').format(port)
			: _('WireGuard listens on port %d, and a router on the way makes it %d.').format(port, seen) ]);
}

function follower(subscriber) {
	if (subscriber.problem)
		return [ fact(`subscriber ${subscriber.interface}`, _('WireGuard interface'), subscriber.interface, bad(_('not working')),
			[ words.sentence(subscriber.problem) ]) ];

	const seen = subscriber.publishers.filter(link => link.you);

	return [ ...subscriber.publishers.map(link => server(subscriber, link)),
		...seen.map(link => outside(subscriber, link, seen.length > 1)) ];
}

/* -- mappings ----------------------------------------------------------------------------------------- */

const PROTOCOLS = { __proto__: null, pcp: 'PCP', natpmp: 'NAT-PMP', upnp: 'UPnP' };

const VERDICTS = {
	__proto__: null,
	'open': () => [ good(_('open')), _('Tried from outside by more than one server.') ],
	'open to this server': () => [ good(_('open')), _('Tried from outside by one server.') ],
	'filtered': () => [ bad(_('closed')), _('From outside nothing comes through it.') ],
	'rewritten': () => [ bad(_('closed')), _('From outside nothing comes through it, and our packets leave by another port.') ],
	'unknown': () => [ plain(_('not checked')), _('Nobody outside could try it.') ],
	'': () => [ plain(_('not checked')), _('Nobody outside has tried it yet.') ]
};

function mapping(part, row) {
	const [ state, verdict ] = row.external == null ? [ bad(_('not mapped')), '' ]
		: row.forward != null ? [ plain(_('mapped')), '' ]
			: (VERDICTS[row.verdict] ?? (() => [ plain(_('not checked')), row.verdict ]))();
	const where = row.forward == null ? _('UDP port %d of this router').format(row.port)
		: _('UDP port %d, for %s').format(row.port, words.visible(row.forward));

	return fact(`mapping ${part.interface} ${row.port} ${row.forward}`, _('Port mapping'), row.external ?? '', state, [
		row.protocol == null ? _('%s, asked of %s.').format(where, words.visible(row.gateway))
			: _('%s, made by %s with %s.').format(where, words.visible(row.gateway),
				PROTOCOLS[row.protocol] ?? words.visible(row.protocol)),
		verdict, words.sentence(row.error) ]);
}

function mappings(part) {
	return part.problem ? [ fact(`mapping ${part.interface}`, _('Port mapping'), '', bad(_('not mapped')), [ words.sentence(part.problem) ]) ]
		: part.mappings.map(row => mapping(part, row));
}

/* -- this router, as a public server -------------------------------------------------------------- */

function publisher(part) {
	const devices = part.peers.filter(peer => peer.device).length;

	return fact(`publisher ${part.interface}`, _('Public server on %s').format(words.visible(part.interface)),
		part.address.map(ip => ip.includes(':') ? `[${ip}]:${part.port}` : `${ip}:${part.port}`).join(', '),
		part.problem ? bad(_('not working')) : good(_('serves')),
		[ words.sentence(part.problem) || _('Remote devices: %d, connected: %d.').format(devices, part.subscribers) ]);
}

function relay(part) {
	const name = key => words.visible(part.peers.find(peer => peer.public_key == key)?.name ?? key.slice(0, 8));
	const { state, problem, pairs } = part.relay;

	return fact(`relay ${part.interface}`, _('Relay on %s').format(words.visible(part.interface)), '',
		state == 'kernel' ? good(_('works')) : state == 'userspace' ? bad(_('works slowly'))
			: problem ? bad(_('not working')) : plain(_('off')),
		[ words.sentence(problem), ...pairs.map(pair => _('%s and %s: %s in the last hour or longer.').format(name(pair.a), name(pair.b),
			words.bytes(pair.bytes))) ]);
}

/* -- the line ----------------------------------------------------------------------------------------- */

function line(wan) {
	return fact('wan', _('Line to the internet'), wan.address.join(', '), null, [
		wan.device.length ? _('Device: %s.').format(wan.device.map(name => words.visible(name)).join(', ')) : '',
		wan.mtu == null ? '' : _('Largest packet: %d bytes.').format(wan.mtu),
		wan.at_home.length ? _('Clients at home that call %s are led to this router.').format(wan.at_home.join(', ')) : ''
	]);
}

/* -- peers -------------------------------------------------------------------------------------------- */

function peerRow(part, peer, several) {
	return {
		key: `${part.interface} ${peer.public_key}`,
		publicKey: peer.public_key,
		name: peer.name,
		interface: several ? part.interface : '',
		endpoint: peer.endpoint ?? '',
		seen: peer.seen_age == null ? _('not seen yet') : _('%s ago').format(words.age(peer.seen_age)),
		rx: words.bytes(peer.rx_bytes),
		tx: words.bytes(peer.tx_bytes)
	};
}

function search(sweep) {
	return sweep ? _('Its port is searched: %d tried in this round.').format(sweep.ports) : '';
}

function byName(a, b) {
	return a.name.localeCompare(b.name) || (a.key < b.key ? -1 : 1);
}

const STATES = {
	__proto__: null,
	seen: () => [ good(_('seen')), '' ],
	quiet: () => [ plain(_('quiet')), _('nothing has come from it for 40 s') ],
	restored: () => [ plain(_('remembered')), _('its endpoint is from before the last start') ],
	never: () => [ plain(_('never seen')), _('no endpoint of it is known') ],
	excluded: () => [ plain(_('excluded')), _('nobody is told of it') ]
};

return baseclass.extend({
	/**
	 * The clients of this router, by name. The public servers' own peers are not among them.
	 * @param {object} status ubus `status`
	 * @param {object|null} history ubus `history`, or null before it is known
	 * @returns {object[]} {key, publicKey, name, interface ('' where there is only one), path, reason, since, endpoint,
	 *   seen, rx, tx, states (letters, or undefined), slot (seconds), stale, callable}: text, but for the last two booleans
	 */
	clients(status, history) {
		const several = status.subscribers.length > 1;
		const states = new Map((history?.peers ?? []).map(peer => [ peer.public_key, peer.states ]));
		const stale = new Set(status.stale_profiles);

		return status.subscribers.flatMap(part => {
			const servers = new Set(part.publishers.map(link => link.public_key));

			return part.peers.filter(peer => !servers.has(peer.public_key)).map(peer => ({
				...peerRow(part, peer, several),
				path: peer.path,
				reason: [ peer.reason, search(peer.sweep) ].filter(text => text).join('. '),
				since: peer.since_age == null ? '' : _('for %s').format(words.age(peer.since_age)),
				states: states.get(peer.public_key),
				slot: history?.slot ?? 900,
				stale: stale.has(peer.name),
				callable: peer.path != 'static'
			}));
		}).sort(byName);
	},

	/**
	 * How many clients are in which path: "2 direct, 1 relay".
	 * @param {object[]} clients rows of `clients`
	 * @returns {string} '' where there is none
	 */
	count(clients) {
		return PATHS.map(path => [ clients.filter(row => row.path == path).length, path ])
			.filter(([ number ]) => number > 0)
			.map(([ number, path ]) => _('%d %s').format(number, words.stateWord(path))).join(', ');
	},

	/**
	 * The peers of a public server: devices and clients alike, by name.
	 * @param {object} status
	 * @returns {object[]} {key, publicKey, name, interface, device (boolean), state, reason, endpoint, seen, rx, tx, callable}
	 */
	served(status) {
		const several = status.publishers.length > 1;

		return status.publishers.flatMap(part => part.peers.map(peer => {
			const [ state, reason ] = (STATES[peer.state] ?? (() => [ plain(String(peer.state)), '' ]))();

			return { ...peerRow(part, peer, several), device: !!peer.device, state, reason,
				callable: peer.endpoint != null && peer.state != 'excluded' };
		})).sort(byName);
	},

	/**
	 * This router's own state.
	 * @param {object} status
	 * @returns {object[]} {key, title, value (as an endpoint; may be ''), state (or null), text (sentences)}
	 */
	device(status) {
		return [ ...status.subscribers.flatMap(follower), ...status.publishers.flatMap(part => [ publisher(part), relay(part) ]),
			...status.portmaps.flatMap(mappings), ...(status.wan.address.length ? [ line(status.wan) ] : []) ];
	},

	/**
	 * The doctor's findings, parted into what needs somebody and what is well.
	 * @param {object|null} doctor ubus `doctor`
	 * @returns {{problems: object[], fine: object[]}} findings as the daemon gives them; "off" is not among them: the
	 *   page's empty state says it
	 */
	findings(doctor) {
		const all = (doctor?.findings ?? []).filter(finding => finding.code != 'off');

		return { problems: all.filter(finding => finding.level != 'ok'), fine: all.filter(finding => finding.level == 'ok') };
	},

	/**
	 * Which role this router has.
	 * @param {object} status
	 * @returns {{subscriber: boolean, publisher: boolean, none: boolean}}
	 */
	roles(status) {
		const subscriber = status.subscribers.length > 0, publisher = status.publishers.length > 0;

		return { subscriber, publisher, none: !subscriber && !publisher && !status.portmaps.length };
	}
});
